import Glibc
import Kernel

/// What `/proc` shows of the host's processes (proc(5)).
enum Processes {
    /// Every process that is there.
    static var all: [Int32] { ((try? Directory.names(in: "/proc")) ?? []).compactMap { Int32($0) } }

    /// The arguments of a process, the program first; none for one that is gone.
    static func arguments(of pid: Int32) -> ArraySlice<String> {
        guard let text = try? readText("/proc/\(pid)/cmdline") else { return [] }
        return ArraySlice(text.split(separator: "\0").map(String.init))
    }
}
