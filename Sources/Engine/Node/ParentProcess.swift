import CLinux
public import Glibc

/// The process that started this one.
public enum ParentProcess {
    /// Has the kernel send `signal` to this process when its parent ends (PR_SET_PDEATHSIG, prctl(2)).
    ///
    /// Returns false where `parent` has ended already. The kernel counts the thread that started this process as its
    /// parent: it must not end before the process does.
    public static func end(with signal: Int32, afterEndOf parent: pid_t) -> Bool {
        guard joblet_prctl(JOBLET_PR_SET_PDEATHSIG, UInt64(signal), 0) == 0 else { return false }
        return getppid() == parent
    }
}
