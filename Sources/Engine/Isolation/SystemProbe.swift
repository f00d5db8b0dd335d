import CLinux
import Glibc
import Kernel

/// Looks at the kernel, devices and programs of the host.
enum SystemProbe {
    typealias Capability = HostCapabilities.Capability

    /// The oldest kernel with all that sandboxes are built from: mount_setattr(2) came with 5.12.
    private static let oldestKernel = (5, 12)

    static func kernel() -> Capability {
        let release = ((try? readText("/proc/sys/kernel/osrelease")) ?? "").split(separator: "\n").first ?? "unknown"
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        let isRecent = numbers.count == 2 && (numbers[0], numbers[1]) >= oldestKernel
        return Capability(
            name: "kernel 5.12 or newer", isAvailable: isRecent, detail: String(release),
            consequence: "no job can start")
    }

    static func seccomp() -> Capability {
        let name = "system call filters"
        let consequence = "no job can start"
        let actions = (try? readText("/proc/sys/kernel/seccomp/actions_avail")) ?? ""
        guard actions.split(separator: " ").contains("errno") else {
            return Capability(name: name, isAvailable: false, detail: "not in this kernel", consequence: consequence)
        }
        do throws(SeccompProfile.CompilationError) {
            let instructions = try SeccompProfile.default.compiled().count / 8
            return Capability(
                name: name, isAvailable: true, detail: "the default profile has \(instructions) instructions",
                consequence: consequence)
        } catch {
            return Capability(name: name, isAvailable: false, detail: "\(error)", consequence: consequence)
        }
    }

    /// What limits a work directory on disk: a file system of its own in a file, on a loop device.
    static func workQuota() -> Capability {
        let control = joblet_open(AT_FDCWD, "/dev/loop-control", O_RDWR, 0)
        if control >= 0 { close(control) }
        let failure: String? =
            if control < 0 {
                "/dev/loop-control: \(SystemCallError.message(for: -control))"
            } else if WorkImage.program == nil {
                "mkfs.ext4 is not installed"
            } else {
                nil
            }
        return Capability(
            name: "quota of work directories", failure: failure,
            consequence: "jobs with a work directory on disk cannot start, unless work.diskMax is 0")
    }

    /// nftables: the kernel's part and the program or library that speaks to it.
    static func packetFilter() -> Capability {
        let programs = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"]
        #if arch(x86_64)
            let tuple = "x86_64-linux-gnu"
        #else
            let tuple = "aarch64-linux-gnu"
        #endif
        let libraries = ["/usr/lib/\(tuple)", "/usr/lib64", "/usr/lib"].map { "\($0)/libnftables.so.1" }
        let tool = (libraries + programs).first { access($0, R_OK) == 0 }
        let answer = askPacketFilter()
        let detail =
            switch (tool, answer) {
            case (let tool?, nil): tool
            case (nil, nil): "neither the program nft nor libnftables is installed"
            case (_, let failure?): "the kernel: \(failure)"
            }
        return Capability(
            name: "nftables", isAvailable: tool != nil && answer == nil, detail: detail,
            consequence: "jobs with network bridge or a custom network are refused")
    }

    /// Asks the kernel for its generation of rules (NFT_MSG_GETGEN); why it has none, or nil.
    private static func askPacketFilter() -> String? {
        let family: Int32 = 16  // AF_NETLINK
        let netfilter: Int32 = 12  // NETLINK_NETFILTER
        let number = socket(family, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), netfilter)
        guard number >= 0 else { return SystemCallError.message(for: errno) }
        let socket = FileDescriptor(owning: number)
        // struct nlmsghdr, then struct nfgenmsg: NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_REQUEST.
        var request = ByteWriter()
        request.write(UInt32(20))
        request.write(UInt16(10 << 8 | 16))
        request.write(UInt16(1))
        request.write(UInt32(1))
        request.write(UInt32(0))
        request.write(UInt32(0))
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(
            socket.number, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        guard send(socket.number, request.bytes, request.bytes.count, 0) == request.bytes.count else {
            return SystemCallError.message(for: errno)
        }
        var answer = [UInt8](repeating: 0, count: 1024)
        let count = recv(socket.number, &answer, answer.count, 0)
        guard count >= 20 else { return count < 0 ? SystemCallError.message(for: errno) : "a short answer" }
        var reader = ByteReader(answer[4..<count])
        // NLMSG_ERROR carries a negative error number after the header.
        guard let type = try? reader.read(UInt16.self), type == 2 else { return nil }
        let code = answer[16..<20].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return SystemCallError.message(for: -Int32(bitPattern: code))
    }

    static func graphics() -> Capability {
        let cards = (try? Directory.names(in: "/proc/driver/nvidia/gpus")) ?? []
        return Capability(
            name: "NVIDIA GPUs", isAvailable: !cards.isEmpty,
            detail: cards.isEmpty
                ? "no driver in /proc/driver/nvidia" : "\(cards.count): \(cards.sorted().joined(separator: " "))",
            consequence: "jobs that ask for a GPU are refused")
    }

    static func resourceCapability() -> Capability {
        let hasIt = ProcessCapabilities.current.contains(.resource)
        return Capability(
            name: "CAP_SYS_RESOURCE", isAvailable: hasIt, detail: hasIt ? "held" : "not held",
            consequence: "the shim is not kept from the OOM killer, and jobs' limits stay below this process's own")
    }
}
