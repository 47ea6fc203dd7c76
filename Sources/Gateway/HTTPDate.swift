// HTTPDate.swift
//
// Dates in HTTP headers, without Foundation's formatters, which cost more than the whole request.

import World

/// A point in time as HTTP headers have it (RFC 9110, section 5.6.7).
func httpDate(_ time: WallTime) -> String {
  let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]
  func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
  let seconds = Int(time.milliseconds / 1000)
  let dayCount = seconds / 86_400
  let clock = seconds % 86_400
  // Years from March on, in eras of 400 years: the leap day is the last day, and every era is alike.
  let shifted = dayCount + 719_468
  let dayOfEra = shifted % 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let shiftedMonth = (5 * dayOfYear + 2) / 153
  let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
  let month = (shiftedMonth + 2) % 12
  let year = yearOfEra + shifted / 146_097 * 400 + (month < 2 ? 1 : 0)
  return "\(days[dayCount % 7]), \(padded(day)) \(months[month]) \(year) "
    + "\(padded(clock / 3600)):\(padded(clock / 60 % 60)):\(padded(clock % 60)) GMT"
}
