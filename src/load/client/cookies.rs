//! Cookies: a jar for each user (RFC 6265), as a browser has one for all of its tabs.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cookie_store::{Cookie, CookieError, CookieStore};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use url::Url;

use super::Outgoing;

/// Longest `Set-Cookie` that is kept, bytes: what RFC 6265 asks for at least (section 6.1), and browsers stop at.
const LONGEST: usize = 4096;
/// Most cookies of a user: as many as browsers keep of one domain.
const MOST: usize = 180;

/// The jars of all users.
#[derive(Debug)]
pub(in crate::load) struct Jars {
    jars: Vec<Mutex<CookieStore>>,
    refused: Mutex<Refused>,
}

/// Cookies that answers set and that were not kept.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    /// Of the first: which host set it, and why it was not kept.
    first: Option<(String, &'static str)>,
}

/// One user's jar.
#[derive(Debug, Clone)]
pub(in crate::load) struct Jar {
    jars: Arc<Jars>,
    user: u32,
}

/// A jar that waits for what an answer from this address sets.
pub(super) struct Open {
    jar: Jar,
    url: Url,
}

impl Jars {
    /// Empty jars of so many users.
    pub(in crate::load) fn new(users: u32) -> Self {
        Self {
            jars: (0..users).map(|_| Mutex::default()).collect(),
            refused: Mutex::default(),
        }
    }

    /// This user's.
    pub(in crate::load) fn of(self: &Arc<Self>, user: u32) -> Jar {
        Jar {
            jars: Arc::clone(self),
            user,
        }
    }

    /// What a person should know: cookies that were not kept.
    pub(in crate::load) fn note(&self) -> Option<String> {
        let refused = lock(&self.refused);
        let (host, why) = refused.first.as_ref()?;
        let count = refused.count;
        let what = if count == 1 {
            "1 cookie that an answer set was not kept".to_owned()
        } else {
            format!("{count} cookies that answers set were not kept")
        };
        Some(format!("{what}; the first, of {host}, {why}"))
    }

    fn refuse(&self, url: &Url, why: &'static str) {
        let mut refused = lock(&self.refused);
        refused.count += 1;
        refused
            .first
            .get_or_insert_with(|| (url.host_str().unwrap_or_default().to_owned(), why));
    }
}

impl Jar {
    /// Puts what belongs there into a request; `None` where its address is none that cookies can be of.
    pub(super) fn open(self, request: &mut Outgoing) -> Option<Open> {
        let url = Url::parse(&request.full_uri().ok()?.to_string()).ok()?;
        if let Some(cookies) = self.cookies(&url, request.headers.get(COOKIE)) {
            request.headers.insert(COOKIE, cookies);
        }
        Some(Open { jar: self, url })
    }

    /// The `Cookie` header for an address: what the request says by itself, then those of the jar with other names.
    /// Longer paths come first (RFC 6265, section 5.4).
    pub(super) fn cookies(&self, url: &Url, own: Option<&HeaderValue>) -> Option<HeaderValue> {
        let own = own.map_or(&[][..], HeaderValue::as_bytes);
        let own_names: Vec<&[u8]> = own
            .split(|byte| *byte == b';')
            .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
            .map(<[u8]>::trim_ascii)
            .collect();
        let mut header = own.trim_ascii().to_vec();
        let store = lock(self.jars.jars.get(self.user as usize)?);
        let mut cookies = store.matches(url);
        cookies.sort_by_key(|c| (Reverse(c.path.len()), c.name().to_owned()));
        for cookie in cookies {
            if own_names.contains(&cookie.name().as_bytes()) {
                continue;
            }
            if !header.is_empty() {
                header.extend(b"; ");
            }
            header.extend(format!("{}={}", cookie.name(), cookie.value()).into_bytes());
        }
        if header.is_empty() {
            return None;
        }
        HeaderValue::from_bytes(&header).ok()
    }

    /// Keeps what an answer from an address sets.
    pub(super) fn set<'a>(&self, url: &Url, cookies: impl Iterator<Item = &'a HeaderValue>) {
        let Some(store) = self.jars.jars.get(self.user as usize) else {
            return;
        };
        for cookie in cookies {
            if let Err(why) = keep(&mut lock(store), cookie, url) {
                self.jars.refuse(url, why);
            }
        }
    }
}

impl Open {
    /// Keeps what the answer's headers set.
    pub(super) fn keep(&self, headers: &HeaderMap) {
        self.jar
            .set(&self.url, headers.get_all(SET_COOKIE).into_iter());
    }
}

/// Keeps a cookie, or takes the one away that it ends.
fn keep(store: &mut CookieStore, cookie: &HeaderValue, url: &Url) -> Result<(), &'static str> {
    if cookie.len() > LONGEST {
        return Err("is longer than 4,096 bytes");
    }
    let text = std::str::from_utf8(cookie.as_bytes()).map_err(|_| UNREADABLE)?;
    let cookie = Cookie::parse(text, url).map_err(|e| why(&e))?.into_owned();
    let known = store.contains_any(
        &String::from(&cookie.domain),
        &String::from(&cookie.path),
        cookie.name(),
    );
    if !known && !cookie.is_expired() && is_full(store) {
        return Err("is one too many: a user keeps 180");
    }
    match store.insert(cookie, url) {
        // What ends a cookie that is not there is no mistake.
        Ok(_) | Err(CookieError::Expired) => Ok(()),
        Err(error) => Err(why(&error)),
    }
}

const UNREADABLE: &str = "cannot be read";

fn why(error: &CookieError) -> &'static str {
    match error {
        CookieError::DomainMismatch => "is for another domain",
        CookieError::PublicSuffix => "is for a public suffix",
        CookieError::Expired
        | CookieError::Parse
        | CookieError::NonHttpScheme
        | CookieError::NonRelativeScheme
        | CookieError::UnspecifiedDomain => UNREADABLE,
    }
}

/// Whether no cookie fits in any more, those that have expired taken out.
fn is_full(store: &mut CookieStore) -> bool {
    if store.iter_any().count() < MOST {
        return false;
    }
    let expired: Vec<_> = store
        .iter_any()
        .filter(|c| c.is_expired())
        .map(|c| {
            let name = c.name().to_owned();
            (String::from(&c.domain), String::from(&c.path), name)
        })
        .collect();
    for (domain, path, name) in expired {
        store.remove(&domain, &path, &name);
    }
    store.iter_any().count() >= MOST
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jar() -> Jar {
        Arc::new(Jars::new(1)).of(0)
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(jar: &Jar, at: &str, cookie: &str) {
        let cookie = HeaderValue::from_bytes(cookie.as_bytes()).unwrap();
        jar.set(&url(at), [&cookie].into_iter());
    }

    fn sent(jar: &Jar, at: &str, own: Option<&str>) -> String {
        let own = own.map(|text| HeaderValue::from_str(text).unwrap());
        let sent = jar.cookies(&url(at), own.as_ref());
        sent.map_or(String::new(), |v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_go_where_domain_path_and_secure_say() {
        let jar = jar();
        set(&jar, "https://www.shop.example/a/b", "host=1");
        set(
            &jar,
            "https://www.shop.example/",
            "all=2; Domain=shop.example",
        );
        set(&jar, "https://www.shop.example/", "cart=3; Path=/cart");
        set(&jar, "https://www.shop.example/", "safe=4; Secure; Path=/");
        for (at, cookies) in [
            ("https://www.shop.example/a/c", "host=1; all=2; safe=4"),
            ("https://www.shop.example/", "all=2; safe=4"),
            ("http://www.shop.example/cart/1", "cart=3; all=2"),
            ("https://api.shop.example/", "all=2"),
            ("https://shop.example.test/", ""),
        ] {
            assert_eq!(sent(&jar, at, None), cookies, "{at}");
        }
    }

    #[test]
    fn a_cookie_ends_when_its_server_says_so() {
        let (jar, at) = (jar(), "http://h/");
        set(&jar, at, "a=1");
        set(&jar, at, "b=2; Max-Age=0");
        set(&jar, at, "c=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(sent(&jar, at, None), "a=1");
        set(&jar, at, "a=; Max-Age=0");
        assert_eq!(sent(&jar, at, None), "");
        assert_eq!(jar.jars.note(), None, "none of them was a mistake");
    }

    #[test]
    fn the_scenarios_own_cookies_win_by_name() {
        let (jar, at) = (jar(), "http://h/");
        set(&jar, at, "a=1");
        set(&jar, at, "b=2");
        assert_eq!(sent(&jar, at, Some("x=9; b=own")), "x=9; b=own; a=1");
        assert_eq!(sent(&jar, "http://other/", Some("x=9")), "x=9");
    }

    #[test]
    fn what_cannot_be_kept_is_counted() {
        let (jar, at) = (jar(), "http://h/");
        set(&jar, at, "=");
        set(&jar, at, "a=1; Domain=elsewhere.example");
        set(&jar, at, &format!("a={}", "x".repeat(LONGEST)));
        for n in 0..=MOST {
            set(&jar, at, &format!("n{n}=1"));
        }
        let note = "4 cookies that answers set were not kept; the first, of h, cannot be read";
        assert_eq!(jar.jars.note().as_deref(), Some(note));
        assert_eq!(sent(&jar, at, None).split("; ").count(), MOST);
        // One that ends makes room.
        set(&jar, at, "n0=; Max-Age=0");
        set(&jar, at, "more=1");
        assert!(sent(&jar, at, None).contains("more=1"));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(cookie in prop::collection::vec(any::<u8>(), 0..200)) {
            let jar = jar();
            if let Ok(cookie) = HeaderValue::from_bytes(&cookie) {
                jar.set(&url("http://h/a"), [&cookie].into_iter());
                let _ = jar.cookies(&url("http://h/a"), Some(&cookie));
            }
        }
    }
}
