//! What Outlook and Exchange put into a `winmail.dat` is what the job has.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use mailroom_tests::winmail;
use mailroom_tests::world::World;

/// The bytes of an object in it begin with the identifier of its interface, which tnefparse takes for the object's.
const OBJECT: &str = "MAPI_OBJECT.tnef";

#[test]
fn the_files_in_a_winmail_dat_are_those_that_another_reader_finds() {
    let samples = winmail::samples();
    assert!(samples.len() > 15, "{}", samples.len());
    let world = World::new();
    world.profile(|_| {});
    let mut raws = Vec::new();
    for (name, (bytes, _)) in &samples {
        let encoded = BASE64_STANDARD.encode(bytes);
        let lines: Vec<&str> =
            (0..encoded.len()).step_by(76).map(|at| &encoded[at..encoded.len().min(at + 76)]).collect();
        raws.push(format!(
            "From: ann@example.org\r\nSubject: {name}\r\nMIME-Version: 1.0\r\nContent-Type: application/ms-tnef\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            lines.join("\r\n")
        ));
    }
    world.deliver_all(raws.iter().map(String::as_bytes));
    world.poll();
    let jobs = world.jobs();
    assert_eq!(jobs.len(), samples.len());
    for job in jobs {
        let name = job.message.subject.clone().unwrap();
        let found: Vec<(String, usize)> = job
            .message
            .attachments
            .iter()
            .filter(|one| {
                one.content_type != "application/ms-tnef"
                    || one.filename.as_deref() == Some("Untitled Attachment")
            })
            .map(|one| {
                let bucket = &job.raw.as_ref().unwrap().bucket;
                let bytes = world.aws().object(bucket, &one.key).unwrap();
                // See the other reader.
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                (one.filename.clone().unwrap_or_default(), end)
            })
            .collect();
        if name != OBJECT {
            assert_eq!(found, samples[&name].1, "{name}");
        }
    }
}
