//! What handlers take out of a request. Whatever is wrong becomes a problem that names it.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Query as AxumQuery, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer as _};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::problem::{ApiError, ApiResult, ProblemKind};
use crate::state::ApiState;

/// The media type of definitions.
pub(crate) const TOML: &str = "application/toml";

/// Something is wrong with a parameter.
pub(crate) fn invalid(name: &str, reason: impl Display) -> ApiError {
    ApiError::new(ProblemKind::InvalidParameter, format!("`{name}`: {reason}"))
}

/// The path's only parameter.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: FromStr<Err: Display>> FromRequestParts<ApiState> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::new(ProblemKind::InvalidParameter, error.body_text()))?;
        let (name, value) = params.iter().next().unwrap_or_default();
        value.parse().map(Self).map_err(|error| invalid(name, error))
    }
}

/// All parameters of a path that has several, in its order.
pub(crate) struct PathParts<const N: usize>(pub(crate) [String; N]);

impl<const N: usize> FromRequestParts<ApiState> for PathParts<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::new(ProblemKind::InvalidParameter, error.body_text()))?;
        let values: Vec<_> = params.iter().map(|(_, value)| value.to_owned()).collect();
        values.try_into().map(Self).map_err(|_| ApiError::new(ProblemKind::UnknownRoute, "the path has other parts"))
    }
}

/// The query's parameters. One that is not known is refused, with the nearest one that is.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + IntoParams> FromRequestParts<ApiState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        AxumQuery::<T>::try_from_uri(&parts.uri).map(|AxumQuery(query)| Self(query)).map_err(|error| {
            let pairs =
                AxumQuery::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|AxumQuery(pairs)| pairs).unwrap_or_default();
            let known: Vec<_> = T::into_params(|| None).into_iter().map(|param| param.name).collect();
            match pairs.iter().find(|(name, _)| !known.contains(name)) {
                Some((name, _)) => unknown(name, &known),
                None => {
                    let text = error.body_text();
                    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                    ApiError::new(ProblemKind::InvalidParameter, text)
                }
            }
        })
    }
}

fn unknown(name: &str, known: &[String]) -> ApiError {
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "this path takes none".to_owned(),
        None => format!("this path takes {}", known.join(", ")),
    };
    ApiError::new(ProblemKind::InvalidParameter, format!("there is no parameter `{name}`: {help}"))
}

/// The name that is most like another, if one is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(name, other);
    known
        .map(|other| (distance(other), other))
        .min()
        .filter(|(far, other)| *far <= other.len().max(3) / 3)
        .map(|(_, other)| other)
}

/// Values with commas between them; none where the parameter is absent.
#[derive(Debug, Clone)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = |part: &str| {
            let part: StrDeserializer<'_, serde::de::value::Error> = part.trim().into_deserializer();
            T::deserialize(part).map_err(D::Error::custom)
        };
        text.split(',').map(value).collect::<Result<_, _>>().map(Self)
    }
}

/// A span of time: `30s`, `500ms`, `2m`, `12h`, `7d`, or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

impl FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a duration such as `30s`, `500ms` or `1m`";
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let millis = match unit {
            "ms" => 1,
            "s" | "" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(EXPECTED),
        };
        Ok(Self(Duration::from_millis(number.saturating_mul(millis))))
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The length of a page, where it is within bounds.
pub(crate) fn limit(asked: Option<usize>, default: usize, most: usize) -> ApiResult<usize> {
    match asked.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(invalid("limit", format!("{limit} is not from 1 to {most}"))),
    }
}

/// A header's text.
///
/// # Errors
/// [`ProblemKind::InvalidParameter`] where it is no visible ASCII.
pub(crate) fn header_text(headers: &HeaderMap, name: impl Into<HeaderName>) -> ApiResult<Option<&str>> {
    let name = name.into();
    headers
        .get(&name)
        .map(|value| value.to_str().map_err(|_| invalid(name.as_str(), "expected visible ASCII characters")))
        .transpose()
}

/// The body, up to a limit in bytes.
///
/// # Errors
/// [`ProblemKind::BodyTooLarge`], or [`ProblemKind::MalformedBody`] where the client stops in the middle.
pub(crate) async fn body(request: Request, most: usize) -> ApiResult<Bytes> {
    let too_large = || {
        let detail = format!("the body may have {most} bytes at most");
        ApiError::new(ProblemKind::BodyTooLarge, detail)
    };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut chunks = Body::into_data_stream(request.into_body());
    let mut all = BytesMut::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| ApiError::new(ProblemKind::MalformedBody, format!("the body broke off: {error}")))?;
        if all.len() + chunk.len() > most {
            return Err(too_large());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// Refuses a body that is none of these media types.
pub(crate) fn expect_media_type(headers: &HeaderMap, accepted: &[&str]) -> ApiResult<()> {
    let media_type = header_text(headers, header::CONTENT_TYPE)?.unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    if accepted.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted)) {
        return Ok(());
    }
    let detail = format!("the body is `{media_type}`; send `Content-Type: {}`", accepted.join("` or `"));
    Err(ApiError::new(ProblemKind::UnsupportedMediaType, detail))
}

/// A JSON body; the default where there is none.
pub(crate) fn json<T: DeserializeOwned + Default>(headers: &HeaderMap, body: &[u8]) -> ApiResult<T> {
    if body.is_empty() {
        return Ok(T::default());
    }
    required_json(headers, body)
}

/// A JSON body.
pub(crate) fn required_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> ApiResult<T> {
    expect_media_type(headers, &["application/json"])?;
    serde_json::from_slice(body)
        .map_err(|error| ApiError::new(ProblemKind::MalformedBody, format!("the JSON is not as expected: {error}")))
}

/// A body of TOML.
pub(crate) fn toml(headers: &HeaderMap, body: &Bytes) -> ApiResult<String> {
    expect_media_type(headers, &[TOML, "text/toml", "text/plain"])?;
    let text = String::from_utf8(body.to_vec());
    text.map_err(|error| ApiError::new(ProblemKind::MalformedBody, format!("the text is not UTF-8: {}", error.utf8_error())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_a_unit_or_is_in_seconds() {
        for (text, millis) in
            [("30s", 30_000), ("250ms", 250), ("2m", 120_000), ("12h", 43_200_000), ("1d", 86_400_000), ("5", 5_000)]
        {
            assert_eq!(text.parse(), Ok(Wait(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "s", "1w", "-1s", "1.5s"] {
            assert!(text.parse::<Wait>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["state", "definition", "limit"];
        assert_eq!(nearest("sate", known.into_iter()), Some("state"));
        assert_eq!(nearest("definitoin", known.into_iter()), Some("definition"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
