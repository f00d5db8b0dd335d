import CLinux
import CSeccomp
import Glibc
public import Kernel

/// Which system calls a job may make, in words; compiled to BPF before a job is started with it.
///
/// What it does not allow is answered with EPERM. A call newer than every one it names, and one that it calls
/// absent, is answered with ENOSYS, as on an older kernel, so that libraries fall back.
public struct SeccompProfile: Sendable {
    /// When a call is allowed. Arguments are counted from 0.
    public enum Condition: Sendable, Hashable {
        /// Always.
        case always
        /// If the argument, of which the kernel reads 32 bits, is one of `values`.
        case oneOf(argument: UInt32, values: [UInt32])
        /// If the argument, of which the kernel reads 32 bits, is none of `values`.
        case noneOf(argument: UInt32, values: [UInt32])
        /// If the argument has none of the bits in `mask`.
        case without(argument: UInt32, mask: UInt64)
        /// If the first argument is `family` and the third is `protocol`, as in socket(2).
        case socket(family: UInt32, protocol: UInt32)
    }

    /// Calls that belong together, and when they are allowed.
    public struct Rule: Sendable, Hashable {
        /// The calls, by their names in the manual.
        public var calls: [String]
        /// When they are allowed.
        public var condition: Condition

        /// Allows `calls` under `condition`.
        public init(_ calls: [String], when condition: Condition = .always) {
            self.calls = calls
            self.condition = condition
        }
    }

    /// What is allowed; a call may stand in several rules.
    public var allowed: [Rule]
    /// Calls that are known and not allowed, for the reader: every other unnamed call fares the same.
    public var refused: [String]
    /// Calls answered with ENOSYS although the kernel may have them.
    public var absent: [String]

    /// A profile with the given lists.
    public init(allowed: [Rule], refused: [String], absent: [String]) {
        self.allowed = allowed
        self.refused = refused
        self.absent = absent
    }

    /// Why a profile cannot be compiled on this host.
    public enum CompilationError: Error, Hashable, Sendable, CustomStringConvertible {
        /// The installed libseccomp has never heard of the call.
        case unknownCall(String)
        /// A call of libseccomp or of the kernel failed.
        case failed(SystemCallError)

        public var description: String {
            switch self {
            case .unknownCall(let name): "libseccomp does not know the system call \(name)"
            case .failed(let error): "\(error)"
            }
        }
    }

    /// The filter as an array of struct sock_filter, for `SandboxPlan.seccomp`.
    ///
    /// Takes some milliseconds: a daemon does it once and keeps the result.
    public func compiled() throws(CompilationError) -> [UInt8] {
        let filter = try SeccompFilter()
        for rule in allowed {
            for name in rule.calls { try filter.allow(name, when: rule.condition) }
        }
        for name in absent { try filter.hide(name) }
        for name in refused { _ = try filter.resolve(name) }
        do throws(SystemCallError) {
            return filter.prefix + (try filter.exported())
        } catch {
            throw .failed(error)
        }
    }
}

extension SeccompProfile {
    /// The number of the call `name` on this architecture; nil where only others have it.
    public static func number(of name: String) throws(CompilationError) -> Int32? {
        let number = seccomp_syscall_resolve_name(name)
        // __NR_SCMP_ERROR; other negative numbers stand for calls of other architectures.
        guard number != -1 else { throw .unknownCall(name) }
        return number >= 0 ? number : nil
    }
}

/// A filter of libseccomp in the making.
private final class SeccompFilter {
    // SCMP_ACT_ALLOW and SCMP_ACT_ERRNO(n) are macros that Swift does not see.
    private static let allow: UInt32 = 0x7fff_0000
    private static let notPermitted = 0x0005_0000 | UInt32(EPERM)
    private static let notImplemented = 0x0005_0000 | UInt32(ENOSYS)

    private let context: scmp_filter_ctx
    private var newest: Int32 = 0

    init() throws(SeccompProfile.CompilationError) {
        guard let context = seccomp_init(SeccompFilter.notPermitted) else {
            throw .failed(SystemCallError("seccomp_init", code: ENOMEM))
        }
        self.context = context
        // Other architectures number their calls differently: int 0x80 and x32 would slip past every rule.
        try set(SCMP_FLTATR_ACT_BADARCH, SeccompFilter.notImplemented)
        // A binary tree: some ten comparisons for any call, not one for each call before it in the list.
        try set(SCMP_FLTATR_CTL_OPTIMIZE, 2)
    }

    deinit { seccomp_release(context) }

    private func set(_ attribute: scmp_filter_attr, _ value: UInt32) throws(SeccompProfile.CompilationError) {
        try checked(seccomp_attr_set(context, attribute, value), "seccomp_attr_set \(attribute.rawValue)")
    }

    private func checked(_ status: Int32, _ operation: String) throws(SeccompProfile.CompilationError) {
        guard status >= 0 else { throw .failed(SystemCallError(operation, code: -status)) }
    }

    func resolve(_ name: String) throws(SeccompProfile.CompilationError) -> Int32? {
        guard let number = try SeccompProfile.number(of: name) else { return nil }
        newest = max(newest, number)
        return number
    }

    func allow(_ name: String, when condition: SeccompProfile.Condition) throws(SeccompProfile.CompilationError) {
        for comparisons in condition.alternatives {
            try add(name, SeccompFilter.allow, comparisons)
        }
    }

    func hide(_ name: String) throws(SeccompProfile.CompilationError) {
        try add(name, SeccompFilter.notImplemented, [])
    }

    private func add(
        _ name: String, _ action: UInt32, _ comparisons: [scmp_arg_cmp]
    ) throws(SeccompProfile.CompilationError) {
        guard let number = try resolve(name) else { return }
        try checked(
            seccomp_rule_add_array(context, action, number, UInt32(comparisons.count), comparisons),
            "seccomp rule for \(name)")
    }

    /// What runs before libseccomp's part, which cannot compare call numbers: ENOSYS for every newer call.
    var prefix: [UInt8] {
        var writer = ByteWriter()
        func instruction(_ code: UInt16, _ jumpTrue: UInt8, _ jumpFalse: UInt8, _ value: UInt32) {
            writer.write(code)
            writer.write(jumpTrue)
            writer.write(jumpFalse)
            writer.write(value)
        }
        instruction(0x20, 0, 0, 0)  // load the call's number, the first word of struct seccomp_data
        instruction(0x25, 0, 1, UInt32(newest))  // greater: on to the next, else one further
        instruction(0x06, 0, 0, SeccompFilter.notImplemented)
        return writer.bytes
    }

    func exported() throws(SystemCallError) -> [UInt8] {
        let file = FileDescriptor(owning: try check(joblet_memfd("seccomp", 0), "memfd_create"))
        try check(seccomp_export_bpf(context, file.number), "seccomp_export_bpf")
        return try file.read(at: 0, count: try file.size())
    }
}

extension SeccompProfile.Condition {
    /// The condition as libseccomp has it: one of several sets of comparisons that must all hold.
    fileprivate var alternatives: [[scmp_arg_cmp]] {
        switch self {
        case .always: [[]]
        case .oneOf(let argument, let values):
            values.map { [Self.compare(argument, mask: 0xffff_ffff, $0)] }
        case .noneOf(let argument, let values):
            Self.differences(from: values).map { [Self.compare(argument, mask: UInt64($0.mask), $0.value)] }
        case .without(let argument, let mask): [[Self.compare(argument, mask: mask, 0)]]
        case .socket(let family, let number):
            [[Self.compare(0, mask: 0xffff_ffff, family), Self.compare(2, mask: 0xffff_ffff, number)]]
        }
    }

    private static func compare(_ argument: UInt32, mask: UInt64, _ value: UInt32) -> scmp_arg_cmp {
        scmp_arg_cmp(arg: argument, op: SCMP_CMP_MASKED_EQ, datum_a: mask, datum_b: UInt64(value))
    }

    /// Masked values of which every number but `values` has at least one.
    ///
    /// "Not equal" compares 64 bits where the kernel reads 32, so that a number with a high bit set would pass;
    /// and rules that refuse do not mix with rules that allow the same call.
    private static func differences(from values: [UInt32]) -> [(mask: UInt32, value: UInt32)] {
        guard let first = values.first else { return [(0, 0)] }
        let varying = values.reduce(0) { $0 | $1 ^ first }
        let bits = (0..<32).map { UInt32(1) << $0 }
        // Where the values agree, one bit that differs is enough.
        let singles = bits.filter { varying & $0 == 0 }.map { (mask: $0, value: ~first & $0) }
        // Where they do not, every combination that none of them has.
        var combinations: [UInt32] = [0]
        for bit in bits where varying & bit != 0 { combinations += combinations.map { $0 | bit } }
        let taken = Set(values.map { $0 & varying })
        return singles + combinations.filter { !taken.contains($0) }.map { (mask: varying, value: $0) }
    }
}
