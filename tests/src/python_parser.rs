//! A message as somebody else reads it: Python's email package, which shares nothing with what composed it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

const SCRIPT: &str = r#"
import base64, email, email.policy, json, sys
message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
def people(name):
    return [[one.display_name, one.addr_spec] for field in message.get_all(name, []) for one in field.addresses]
parts = []
for part in message.walk():
    if not part.is_multipart():
        parts.append({
            "type": part.get_content_type(), "filename": part.get_filename(),
            "disposition": part.get_content_disposition(), "id": part["Content-ID"],
            "content": base64.b64encode(part.get_payload(decode=True)).decode(),
        })
def plain(value):
    # Fields in UTF-8 come with their bytes escaped.
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8")
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value
print(json.dumps(plain({
    "from": people("From"), "to": people("To"), "cc": people("Cc"), "bcc": people("Bcc"), "reply_to": people("Reply-To"),
    "subject": message["Subject"], "message_id": message["Message-ID"], "in_reply_to": message["In-Reply-To"],
    "references": (message["References"] or "").split(), "auto_submitted": message["Auto-Submitted"], "date": message["Date"],
    "shape": [part.get_content_type() for part in message.walk()], "parts": parts,
    "fields": sorted(name.lower() for name in message.keys()), "defects": [str(defect) for defect in message.defects],
})))
"#;

/// Parses a message into its addresses, its header fields that matter here, and its parts.
///
/// # Panics
/// When Python does not read it.
#[must_use]
pub fn read(raw: &[u8]) -> Value {
    let mut python = Command::new("python3")
        .args(["-I", "-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    // In a thread of its own there is no need: Python reads all before it writes.
    python.stdin.take().expect("a pipe").write_all(raw).expect("Python reads");
    let output = python.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "Python cannot read the message");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
