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

    /// Whether a pump has one of the files in `directory` open: it writes there, or will.
    ///
    /// By file rather than by name, since a pump may see the directory at another path.
    static func pumpHasOpenFile(in directory: String) -> Bool {
        let files = Set(((try? Directory.names(in: directory)) ?? []).compactMap { Inode(path: "\(directory)/\($0)") })
        guard !files.isEmpty else { return false }
        return all.contains { pid in
            guard arguments(of: pid).dropFirst() == ["pump"] else { return false }
            let descriptors = (try? Directory.names(in: "/proc/\(pid)/fd")) ?? []
            return descriptors.contains { number in
                Inode(path: "/proc/\(pid)/fd/\(number)").map { files.contains($0) } ?? false
            }
        }
    }

    private struct Inode: Hashable {
        let device: UInt
        let number: UInt

        init?(path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = UInt(status.st_dev)
            number = UInt(status.st_ino)
        }
    }
}
