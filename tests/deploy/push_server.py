#!/usr/bin/env python3
"""A push key's other end, over TLS: takes pushes as Pruvan does and appends each, as a line of JSON, to a file. A GET gives a video.

    push_server.py ADDRESS CERTIFICATE KEY FILE
"""
import http.server, json, ssl, sys, urllib.parse

address, certificate, key, sent = sys.argv[1:]


VIDEO = b"\0\0\0\x18ftypmp42" + bytes(n * 131 % 251 for n in range(12_000_000))


class Push(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(VIDEO)))
        self.end_headers()
        self.wfile.write(VIDEO)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        request = form["workOrders"][0]
        with open(sent, "a") as file:
            file.write(json.dumps(json.loads(request)) + "\n")
        count = len(json.loads(request)["workOrders"])
        reply = json.dumps({"response": {"created": 0, "updated": count, "deleted": 0}, "error": None}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer((address, 443), Push)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
