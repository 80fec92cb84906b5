//! Containers as they are inspected.

use serde_json::Value;
use strata_oci::media_type::OCI_MANIFEST;

use super::{
    client::call,
    containers::{json, with_container},
    fake::{digest, last_call},
};

#[test]
fn an_inspected_container_tells_everything_clients_read() {
    let client = call(&with_container(), "GET /containers/web/json");
    let text = client.text();
    let (id, image) = ("c".repeat(64), digest("a"));
    for part in [
        &format!(
            r#"{{"Id":"{id}","Created":"1970-01-01T00:00:05.6Z","Path":"/e","Args":["a","b c"],"State":{{"Status":"created","Running":false,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":0,"ExitCode":0,"Error":"","StartedAt":"0001-01-01T00:00:00Z","FinishedAt":"0001-01-01T00:00:00Z"}},"Image":"{image}","ResolvConfPath":"","HostnamePath":"","HostsPath":"","LogPath":"","Name":"/web","RestartCount":0,"Driver":"strata","Platform":"linux","MountLabel":"","ProcessLabel":"","AppArmorProfile":"","ExecIDs":null,"HostConfig":{{"Binds":null,"#
        ),
        r#""Memory":5,"#,
        r#""Storage":{"RootFS":{"Snapshot":{"Name":"strata"}}},"SizeRootFs":9,"Mounts":[],"#,
        r#""Config":{"Hostname":"cccccccccccc","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"ExposedPorts":{"80/tcp":{}},"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":["A=b"],"Cmd":["a","b c"],"Image":"alpine","Volumes":{},"WorkingDir":"","Entrypoint":["/e"],"Labels":{"k":"v"}},"#,
        r#""NetworkSettings":{"SandboxID":"","SandboxKey":"","Ports":{},"Networks":{"mine":{"IPAMConfig":null,"Links":null,"Aliases":["x"],"#,
        &format!(
            r#""ImageManifestDescriptor":{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":7,"platform":{{"architecture":"amd64","os":"linux"}}}}}}"#,
            digest("m")
        ),
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn an_inspected_container_has_the_shape_of_its_version() {
    for (version, has_storage, has_manifest) in [
        ("1.54", true, true),
        ("1.52", true, true),
        ("1.51", false, true),
        ("1.48", false, true),
        ("1.47", false, false),
        ("1.24", false, false),
    ] {
        let line = format!("GET /v{version}/containers/web/json");
        let container = json(&with_container(), &line);
        let has = |part: &Value, key| part.get(key).is_some();
        assert_eq!(has(&container, "Storage"), has_storage, "{version}");
        assert_eq!(has(&container, "GraphDriver"), !has_storage, "{version}");
        assert_eq!(has(&container["Config"], "OnBuild"), !has_storage);
        assert_eq!(
            has(&container["NetworkSettings"], "IPAddress"),
            !has_storage
        );
        assert!(has(&container["NetworkSettings"], "Networks"));
        assert_eq!(has(&container, "ImageManifestDescriptor"), has_manifest);
    }
    let container = json(&with_container(), "GET /v1.51/containers/web/json");
    assert_eq!(container["GraphDriver"]["Name"], "strata");
}

#[test]
fn an_empty_config_is_shown_whole() {
    let mut fake = with_container();
    let details = fake.container.as_mut().unwrap();
    details.config = serde_json::from_str(r#"{"Hostname":"h"}"#).unwrap();
    details.host_config = None;
    details.networking_config = None;
    let container = json(&fake, "GET /containers/web/json");
    assert_eq!(container["Path"], "");
    assert_eq!(container["Args"], Value::Array(Vec::new()));
    assert_eq!(container["Config"]["Hostname"], "h");
    for key in ["Env", "Cmd", "Entrypoint"] {
        assert_eq!(container["Config"].get(key), Some(&Value::Null), "{key}");
    }
    assert_eq!(container["HostConfig"]["NetworkMode"], "bridge");
    assert!(container["NetworkSettings"]["Networks"]["bridge"].is_object());
}

#[test]
fn sizes_are_inspected_when_asked_for() {
    for (query, size, has_changed) in [
        ("", false, false),
        ("?size=0", false, false),
        ("?size=1", true, true),
    ] {
        let fake = with_container();
        let container = json(&fake, &format!("GET /containers/web/json{query}"));
        assert_eq!(last_call(&fake), format!("container web {size}"));
        let changed = container.get("SizeRw").and_then(Value::as_u64);
        assert_eq!(changed, has_changed.then_some(3), "{query}");
    }
}
