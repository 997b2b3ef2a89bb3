//! Addresses, and the names beside them.

use deserr::{Deserr, IntoValue, ValuePointerRef};
use mailroom_core::address::{EmailAddress, HeaderText};
use utoipa::ToSchema;

use crate::field::{from_text, text, words};
use crate::problem::Problems;

/// An email address, in any script.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = "idn-email", max_length = 254, example = "ann@example.org",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]+@[^\u0000-\u001f\u007f-\u009f]+$")]
pub struct AddressText(pub EmailAddress);
from_text!(AddressText, |text| EmailAddress::parse(&text).map_err(words));

/// The name that is shown beside an address.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 200, example = "Ann",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$")]
pub struct PersonName(pub HeaderText);
from_text!(PersonName, |text| HeaderText::parse(&text, 200).map_err(words));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::tests::validator;

    /// Addresses of all kinds, most of them right.
    fn address() -> impl Strategy<Value = String> {
        let local = prop_oneof![
            "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}",
            "[a-z0-9]{1,12}(\\.[a-z0-9+]{1,12}){0,4}",
            "\"[ -!#-\\[\\]-~]{0,20}\"",
            "[a-zäöüßéñ用户дж]{1,20}",
            "\\PC{1,12}",
        ];
        let domain = prop_oneof![
            "([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){1,6}[a-z]{2,12}",
            "[A-Za-z0-9]{1,63}",
            "(bücher|例え|пример)\\.(example|テスト|рф)",
            Just("[192.0.2.1]".to_owned()),
            Just("[IPv6:2001:db8::1]".to_owned()),
            "\\PC{1,12}",
        ];
        (local, domain).prop_map(|(local, domain)| format!("{local}@{domain}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn every_address_that_is_accepted_is_one_of_the_document(text in address()) {
            thread_local!(static SCHEMA: jsonschema::Validator = validator("Sender"));
            if EmailAddress::parse(&text).is_ok() {
                let body = json!({"address": text});
                prop_assert!(SCHEMA.with(|schema| schema.is_valid(&body)), "{}", text);
            }
        }
    }
}
