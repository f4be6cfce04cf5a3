//! What kind of file it is that a crew sent.

use file_format::FileFormat;
use memchr::memmem::find;
use pruvan::encoding::decode;
use pruvan::json;
use pruvan::upload::Upload;
use serde::de::IgnoredAny;

/// A file's kind, by which it is stored and served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The media type, as browsers are told.
    pub content_type: &'static str,
    /// The extension, without a dot.
    pub extension: &'static str,
}

const fn kind(extension: &'static str, content_type: &'static str) -> Format {
    Format { content_type, extension }
}

const UNKNOWN: Format = kind("bin", "application/octet-stream");

/// Kinds that a browser or a viewer shows without running anything of them, by what their bytes begin with. All others
/// (pages, scripts, programs, documents whose kind says that they have macros) are stored as bytes of no kind, whatever
/// their sender calls them.
const HARMLESS: [Format; 44] = [
    kind("jpg", "image/jpeg"),
    kind("png", "image/png"),
    kind("apng", "image/apng"),
    kind("webp", "image/webp"),
    kind("gif", "image/gif"),
    kind("tiff", "image/tiff"),
    kind("avif", "image/avif"),
    kind("heic", "image/heic"),
    kind("heics", "image/heic-sequence"),
    kind("heif", "image/heif"),
    kind("bmp", "image/bmp"),
    kind("jxl", "image/jxl"),
    kind("jp2", "image/jp2"),
    kind("cr2", "image/x-canon-cr2"),
    kind("mp4", "video/mp4"),
    kind("mov", "video/quicktime"),
    kind("m4v", "video/x-m4v"),
    kind("3gp", "video/3gpp"),
    kind("3g2", "video/3gpp2"),
    kind("webm", "video/webm"),
    kind("mkv", "video/matroska"),
    kind("avi", "video/x-msvideo"),
    kind("wmv", "video/x-ms-wmv"),
    kind("mpg", "video/mpeg"),
    kind("ogv", "video/ogg"),
    kind("mp3", "audio/mpeg"),
    kind("m4a", "audio/x-m4a"),
    kind("wav", "audio/vnd.wave"),
    kind("amr", "audio/amr"),
    kind("aac", "audio/aac"),
    kind("ogg", "audio/ogg"),
    kind("oga", "audio/ogg"),
    kind("flac", "audio/flac"),
    kind("pdf", "application/pdf"),
    kind("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    kind("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    kind("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    kind("doc", "application/msword"),
    kind("xls", "application/vnd.ms-excel"),
    kind("ppt", "application/vnd.ms-powerpoint"),
    kind("odt", "application/vnd.oasis.opendocument.text"),
    kind("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    kind("rtf", "application/rtf"),
    kind("zip", "application/zip"),
];

/// Texts of a kind that no first bytes tell.
const TEXTS: [Format; 6] = [
    kind("txt", "text/plain"),
    kind("log", "text/plain"),
    kind("csv", "text/csv"),
    kind("md", "text/markdown"),
    kind("ics", "text/calendar"),
    kind("vcf", "text/vcard"),
];

/// So far into a file PDF readers look for its beginning: some senders put a line end or a byte order mark before it.
const PDF_WITHIN: usize = 1024;

/// Tells what a file is from its bytes, since what is said of it may be wrong. Of a text, `said` decides: the sender's
/// `fileExt`.
pub fn sniff(bytes: &[u8], said: &str) -> Format {
    let found = FileFormat::from_bytes(bytes);
    if let Some(format) = HARMLESS.into_iter().find(|format| format.extension == found.extension()) {
        return format;
    }
    if found != FileFormat::ArbitraryBinaryData {
        return UNKNOWN;
    }
    if find(&bytes[..bytes.len().min(PDF_WITHIN)], b"%PDF-").is_some() {
        return kind("pdf", "application/pdf");
    }
    if is_json(bytes) {
        return kind("json", "application/json");
    }
    let said = extension(said);
    let is_text = !bytes.is_empty() && !bytes[..bytes.len().min(PDF_WITHIN)].contains(&0);
    TEXTS.into_iter().find(|text| is_text && text.extension == said).unwrap_or(UNKNOWN)
}

fn is_json(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    matches!(start.first(), Some(b'{' | b'[')) && json::read::<IgnoredAny>(&decode(bytes)).is_ok()
}

/// An extension as it is compared: without its dot, in lower case.
fn extension(said: &str) -> String {
    said.trim().trim_start_matches('.').to_ascii_lowercase()
}

/// What `fileType` or `fileExt` say of a file that its bytes don't, if they do: for people, who may have to do with
/// software that goes by the one or the other.
pub fn mismatch(format: Format, upload: &Upload) -> Option<String> {
    let found = format.extension;
    let same = |said: &str| match said {
        "jpeg" | "jpe" => found == "jpg",
        "tif" | "dng" => found == "tiff",
        "mpeg4" | "m4v" | "mov" | "mp4" => ["mp4", "m4v", "mov"].contains(&found),
        "heic" | "heif" => ["heic", "heics", "heif"].contains(&found),
        said => said == found,
    };
    if let Some(said) = upload.file_type.extension().filter(|said| !same(said)) {
        return Some(format!("fileType {} means {said}, the bytes are {found}", upload.file_type.as_str()));
    }
    let said = extension(upload.file_ext.as_deref().unwrap_or_default());
    if said.is_empty() || same(&said) {
        return None;
    }
    let said: String = said.chars().take(20).collect();
    Some(format!("fileExt says {said}, the bytes are {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

    /// An archive of two empty files.
    fn zip(first: &str, second: &str) -> Vec<u8> {
        let (mut archive, mut directory) = (Vec::new(), Vec::new());
        for name in [first, second] {
            let length = u8::try_from(name.len()).unwrap();
            let at = u8::try_from(archive.len()).unwrap();
            let sizes = [[0; 18].as_slice(), &[length, 0, 0, 0]].concat();
            directory.extend(
                [b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0".as_slice(), &sizes[4..], &[0; 10], &[at, 0, 0, 0]].concat(),
            );
            directory.extend(name.as_bytes());
            archive.extend([b"PK\x03\x04\x14\0\0\0".as_slice(), &sizes, name.as_bytes()].concat());
        }
        let (at, length) = (u8::try_from(archive.len()).unwrap(), u8::try_from(directory.len()).unwrap());
        archive.extend(directory);
        archive.extend([b"PK\x05\x06\0\0\0\0\x02\0\x02\0".as_slice(), &[length, 0, 0, 0, at, 0, 0, 0, 0, 0]].concat());
        archive
    }

    #[test]
    fn kinds_are_told_from_the_bytes() {
        for (bytes, extension, content_type) in [
            (&b"\xFF\xD8\xFF\xE0rest"[..], "jpg", "image/jpeg"),
            (b"\x89PNG\r\n\x1a\nrest", "png", "image/png"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "webp", "image/webp"),
            (b"GIF89a\x01\0\x01\0", "gif", "image/gif"),
            (b"II*\0\x08\0\0\0", "tiff", "image/tiff"),
            (b"MM\0*\0\0\0\x08", "tiff", "image/tiff"),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "avif", "image/avif"),
            (b"\0\0\0\x18ftypheic", "heic", "image/heic"),
            (b"\0\0\0\x18ftypmp42", "mp4", "video/mp4"),
            (b"\0\0\0\x18ftypisom", "mp4", "video/mp4"),
            (b"\0\0\0\x14ftypqt  ", "mov", "video/quicktime"),
            (b"%PDF-1.4", "pdf", "application/pdf"),
            (b"\r\n%PDF-1.4", "pdf", "application/pdf"),
            (b"\xEF\xBB\xBF%PDF-1.4", "pdf", "application/pdf"),
            (b" {\"a\": 1}", "json", "application/json"),
            (b"\xEF\xBB\xBF{\"a\": \"\\ud83d\"}", "json", "application/json"),
            (&zip("[Content_Types].xml", "word/document.xml"), "docx", DOCX),
            (&zip("a.txt", "b.txt"), "zip", "application/zip"),
        ] {
            assert_eq!(sniff(bytes, ""), Format { content_type, extension }, "{}", bytes.escape_ascii());
            assert_eq!(sniff(bytes, "txt"), Format { content_type, extension }, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn of_a_text_the_sender_is_believed_if_it_can_do_no_harm() {
        for (bytes, said, extension) in [
            (&b"gate 4411"[..], "txt", "txt"),
            (b"gate 4411", ".TXT", "txt"),
            (b"a,b\r\n1,2", "csv", "csv"),
            (b"gate 4411", "", "bin"),
            (b"gate 4411", "html", "bin"),
            (b"gate 4411", "jpg", "bin"),
            (b"\0\x01\x02\x03", "txt", "bin"),
            (b"", "txt", "bin"),
            (b"{\"a\": ", "json", "bin"),
        ] {
            assert_eq!(sniff(bytes, said).extension, extension, "{} as {said:?}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_can_run_has_no_kind_whatever_it_is_called() {
        for bytes in [
            &b"<!DOCTYPE html><html><script>1</script></html>"[..],
            b"<html><body onload=x>",
            b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"x\"/>",
            b"MZ\x90\0\x03\0\0\0",
            b"#!/bin/sh\nrm",
        ] {
            for said in ["", "jpg", "html", "svg", "exe", "pdf"] {
                assert_eq!(sniff(bytes, said), UNKNOWN, "{} as {said:?}", bytes.escape_ascii());
            }
        }
    }
}
