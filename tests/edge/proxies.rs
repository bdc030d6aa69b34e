//! Who is behind a proxy: told by trusted ones alone, in the log and in what each stranger may do.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{DEVELOPMENT, Served, serve, token};

/// Two strangers' requests at once; the next is told to wait.
const FEW: [(&str, &str); 2] =
    [("FINGERPOST__ACCESS__UNKNOWN_BURST", "2"), ("FINGERPOST__ACCESS__UNKNOWN_PER_MINUTE", "1")];

async fn asked(served: &Served, lines: &[(&'static str, &str)], token: &str) -> u16 {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    let request = reqwest::Client::new().get(format!("{}/fhir/Task?_count=1", served.base)).headers(headers);
    request.bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// The addresses of the last entries of the log, newest first.
async fn addresses(served: &Served, ig: &str, count: usize) -> Vec<String> {
    let url = format!("{}/fhir/AuditEvent?_count={count}", served.base);
    let page: Value = serde_json::from_str(
        &reqwest::Client::new().get(url).bearer_auth(ig).send().await.unwrap().text().await.unwrap(),
    )
    .unwrap();
    let entries = page["entry"].as_array().unwrap();
    let address = |entry: &Value| entry["resource"]["agent"][0]["network"]["address"].as_str().unwrap_or("").to_owned();
    entries.iter().map(address).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_says_who_is_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = ("FINGERPOST__SERVE__TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8");
    let served = serve(folder.path(), &[DEVELOPMENT, FEW[0], FEW[1], trusted]);
    let (ig, surgery) = (token(folder.path(), "ig", "FPG01"), token(folder.path(), "referrer", "N84001"));
    let usual = |hops| [("x-forwarded-for", hops)];
    // Each stranger has an allowance of its own, whatever it says of others.
    for hops in ["192.0.2.1", "198.51.100.9, 192.0.2.1, 10.0.0.7", "203.0.113.5, 192.0.2.1"].map(usual) {
        assert!([401, 429].contains(&asked(&served, &hops, "rubbish").await));
    }
    assert_eq!(asked(&served, &usual("192.0.2.1"), "rubbish").await, 429);
    assert_eq!(asked(&served, &[("forwarded", "for=192.0.2.1")], "rubbish").await, 429);
    assert_eq!(asked(&served, &usual("192.0.2.2"), "rubbish").await, 401);
    assert_eq!(asked(&served, &[("forwarded", "for=\"[2001:db8::1]:80\"")], "rubbish").await, 401);
    assert_eq!(asked(&served, &usual("192.0.2.3"), &surgery).await, 200);
    assert_eq!(addresses(&served, &ig, 3).await, ["192.0.2.3", "2001:db8::1", "192.0.2.2"]);
    // What is no address, and what does not end, is the proxy's own.
    let hops = vec!["10.0.0.7"; 6000].join(",");
    for hostile in ["garbage", "unknown", "", &hops] {
        assert_eq!(asked(&served, &usual(hostile), &surgery).await, 200);
        assert_eq!(addresses(&served, &ig, 1).await, ["127.0.0.1"]);
    }
    assert_eq!(served.end().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_a_trusted_proxy_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    // By default nobody is; and a proxy elsewhere is not this one.
    for other in ["", "10.0.0.0/8, 127.0.0.2"] {
        let served =
            serve(folder.path(), &[DEVELOPMENT, FEW[0], FEW[1], ("FINGERPOST__SERVE__TRUSTED_PROXIES", other)]);
        let ig = token(folder.path(), "ig", "FPG01");
        let mut told = Vec::new();
        for n in 1..=4 {
            let (usual, standard) = (format!("192.0.2.{n}"), format!("for=192.0.2.{n}"));
            told.push(asked(&served, &[("x-forwarded-for", &usual), ("forwarded", &standard)], "rubbish").await);
        }
        assert_eq!(told, [401, 401, 429, 429]);
        assert_eq!(addresses(&served, &ig, 2).await, ["127.0.0.1", "127.0.0.1"]);
        assert_eq!(served.end().0, 0);
    }
}
