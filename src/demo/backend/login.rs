//! Log in, and something to be logged in for.

use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::routes::{Shop, problem, query};
use crate::demo::truth::wall_nanos;

/// How long a token is good unless `ttl` says otherwise.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// Answers `POST /login` with a token.
pub(super) fn login(head: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let user: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(email) = user.pointer("/user/email").and_then(Value::as_str) else {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            r#"a login is {"user": {"email": …}}"#,
        );
    };
    let ttl = match query(head, "ttl").map(humantime::parse_duration) {
        None => TOKEN_TTL,
        Some(Ok(ttl)) => ttl,
        Some(Err(_)) => {
            return problem(
                StatusCode::BAD_REQUEST,
                "ttl is a time with its unit, as in 5s",
            );
        }
    };
    let token = token(
        email,
        now_ms().saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
    );
    Shop::json(
        StatusCode::OK,
        &json!({ "user": { "email": email, "token": token } }),
    )
}

/// Answers `GET /private` to the holder of a token.
pub(super) fn private(head: &Parts) -> Response<Full<Bytes>> {
    let header = head
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match header
        .and_then(|value| value.strip_prefix("Token "))
        .and_then(|token| holder(token, now_ms()))
    {
        Some(email) => Shop::json(StatusCode::OK, &json!({ "user": { "email": email } })),
        None => problem(
            StatusCode::UNAUTHORIZED,
            "Authorization: Token … of a login is needed",
        ),
    }
}

fn now_ms() -> u64 {
    wall_nanos() / 1_000_000
}

/// A token that every backend of a demo accepts without sharing state. The checksum catches accidents, not attackers:
/// what it guards is nothing.
fn token(email: &str, expires_ms: u64) -> String {
    let email: String = email.bytes().map(|byte| format!("{byte:02x}")).collect();
    let claim = format!("{email}.{expires_ms}");
    let sum = crc32c::crc32c(claim.as_bytes());
    format!("{claim}.{sum:08x}")
}

/// Whose token it is, if it is one and has not expired.
fn holder(token: &str, now_ms: u64) -> Option<String> {
    let (claim, sum) = token.rsplit_once('.')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32c::crc32c(claim.as_bytes()) {
        return None;
    }
    let (email, expires_ms) = claim.split_once('.')?;
    if expires_ms.parse::<u64>().ok()? <= now_ms {
        return None;
    }
    let bytes = email
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_holder_until_it_expires() {
        let token = token("ann@example.test", 1_000);
        assert_eq!(holder(&token, 999).as_deref(), Some("ann@example.test"));
        assert_eq!(holder(&token, 1_000), None);
    }

    #[test]
    fn a_token_that_was_touched_is_nobodys() {
        let token = token("ann@example.test", 1_000);
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'0' { b'1' } else { b'0' };
            assert_eq!(
                holder(str::from_utf8(&bytes).unwrap(), 1),
                None,
                "byte {index}"
            );
        }
        assert_eq!(holder("", 1), None);
    }
}
