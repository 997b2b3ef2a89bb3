//! What is read of one message at most. Real messages stay far below; what is above is cut and flagged, and is whole in
//! the raw message.

use mailroom_core::inbound::job::FlowJob;

/// Parts of a message, multiparts included. A digest of a busy list has a few hundred.
pub(super) const MAX_PARTS: usize = 1000;

/// Multiparts inside each other. Clients nest five at most; a deeper one is kept unopened, as an attachment.
pub(super) const MAX_DEPTH: usize = 50;

/// Fields of a header block; the rest is not listed.
pub(super) const MAX_FIELDS: usize = 1000;

/// Lines in a row in a header that are no fields, behind which a field is looked for.
pub(super) const MAX_STRAY_LINES: usize = 100;

/// Bytes of one header field: some 1,500 addresses. Bounds what a field can cost to decode.
pub(super) const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Bytes of all names and values listed: more cannot be in a job.
pub(super) const MAX_HEADER_BYTES: usize = FlowJob::MAX_BYTES;

/// Addresses of one field.
pub(super) const MAX_ADDRESSES: usize = 1000;

/// Message ids of a `References` or `In-Reply-To` field: the first and the latest are kept.
pub(super) const MAX_IDS: usize = 200;

/// Bytes of a message id: a line's length (RFC 5322 §2.1.1), with room for those who break it.
pub(super) const MAX_ID_BYTES: usize = 2000;

/// Bytes of the text and of the HTML body each: more cannot be in a job, and need not be decoded.
pub(super) const MAX_BODY_BYTES: usize = FlowJob::MAX_BYTES;

/// Bytes of a filename: what file systems take.
pub(super) const MAX_FILENAME_BYTES: usize = 255;

/// Bytes of a boundary. RFC 2046 §5.1.1 allows 70; some systems write more.
pub(super) const MAX_BOUNDARY_BYTES: usize = 500;

/// Parameters of a `Content-Type` that are listed. Real ones have five at most.
pub(super) const MAX_PARAMETERS: usize = 20;

/// Bytes of the value of a listed parameter: boundaries, digests and URLs are far shorter.
pub(super) const MAX_PARAMETER_BYTES: usize = 1000;

/// Bytes of a word such as a charset, a disposition or a parameter's name.
pub(super) const MAX_WORD_BYTES: usize = 64;

/// Enclosed messages that are looked into. A digest of a busy list has fewer.
pub(super) const MAX_ENCLOSED: usize = 100;

/// Attachments of one enclosed message that are listed.
pub(super) const MAX_ENCLOSED_PARTS: usize = 50;

/// Recipients of one report: the most that a message of ours has.
pub(super) const MAX_REPORTED: usize = 100;
