//! Addresses, and the names beside them.

use deserr::{Deserr, IntoValue, ValuePointerRef};
use mailroom_core::address::{EmailAddress, HeaderText};
use utoipa::ToSchema;

use crate::field::{from_text, text, words};
use crate::problem::Problems;

/// An email address, in any script.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 254, example = "ann@example.org",
    pattern = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,30}(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,30})?@([a-z0-9]([a-z0-9]{0,61}[a-z0-9])?\.){0,2}[a-z0-9]([a-z0-9]{0,61}[a-z0-9])?$")]
pub struct AddressText(pub EmailAddress);
from_text!(AddressText, |text| EmailAddress::parse(&text).map_err(words));

/// The name that is shown beside an address.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 200, example = "Ann",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$")]
pub struct PersonName(pub HeaderText);
from_text!(PersonName, |text| HeaderText::parse(&text, 200).map_err(words));
