//! Who is let in.

use mailroom_local::deploy::ApiAuth;
use mailroom_tests::world::World;

#[test]
fn without_a_token_only_what_is_public_is_served() {
    let world = World::deployed_with(ApiAuth::Jwt {
        issuer: "https://login.example.com".to_owned(),
        audience: "mailroom".to_owned(),
    });
    let api = world.api();
    for path in ["/health", "/openapi.json", "/schemas/flow-job.v1.json"] {
        let _ = api.get(path).expect(200);
    }
    // What this client sends as its authorization is no token.
    for (method, path) in [
        ("GET", "/profiles"),
        ("POST", "/profiles"),
        ("GET", "/profiles/01JDCABCDEFGHJKMNPQRSTVWXY"),
        ("DELETE", "/flow-schemas/add-to-queue"),
        ("POST", "/profiles/test"),
    ] {
        let _ = api.call(method, path, &[], None).expect(401);
    }
}
