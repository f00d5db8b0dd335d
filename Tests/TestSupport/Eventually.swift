import Glibc

/// Looks at `condition` every millisecond until it holds; whether it did within `seconds`.
///
/// For what the kernel shows in a file and tells by no event.
public func eventually(within seconds: Int = 90, _ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<seconds * 1000 {
        if try condition() { return true }
        poll(nil, 0, 1)
    }
    return try condition()
}
