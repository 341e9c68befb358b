// The compiled half of fmt, of which Debian has a shared library only (decision 0015).
#include <fmt/format-inl.h>

// What the headers promise to be somewhere.
template auto fmt::detail::thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto fmt::detail::decimal_point_impl<char>(locale_ref) -> char;
