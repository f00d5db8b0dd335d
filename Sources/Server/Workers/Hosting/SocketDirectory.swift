import Glibc
import NIOCore
import NIOPosix
import Storage

/// The place of a Unix socket: a directory that nobody else can change.
enum SocketDirectory {
    /// Makes the directory of `socket` with mode 0700, or checks that others cannot write to the one that is there, and removes a socket that
    /// nobody listens on any more.
    static func prepare(for socket: String) throws(StorageError) {
        guard let slash = socket.lastIndex(of: "/"), slash != socket.startIndex else {
            throw .unavailable(reason: "\(socket) is no absolute path in a directory")
        }
        let directory = String(socket[..<slash])
        try create(directory)
        var status = stat()
        guard stat(directory, &status) == 0 else { throw failure("stat \(directory)") }
        guard status.st_uid == geteuid() || status.st_uid == 0, status.st_mode & 0o022 == 0 else {
            throw .unavailable(reason: "\(directory) can be changed by others: its mode must be 0700")
        }
        if unlink(socket) != 0, errno != ENOENT { throw failure("unlink \(socket)") }
    }

    private static func create(_ path: String) throws(StorageError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw failure("mkdir \(path)")
        }
        try create(String(path[..<slash]))
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw failure("mkdir \(path)") }
    }

    private static func failure(_ call: String) -> StorageError {
        .unavailable(reason: "\(call): \(String(cString: strerror(errno)))")
    }
}

/// Who is at the other end of a Unix socket (SO_PEERCRED, unix(7)).
enum PeerCredentials {
    /// `struct ucred`, which the C library's module leaves out.
    private struct Peer {
        var pid: pid_t = 0
        var uid: uid_t = 0
        var gid: gid_t = 0
    }

    /// Fails where the process at the other end is another user's and not root's.
    static func check(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard let provider = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(MalformedMessage("not a socket"))
        }
        let credentials: EventLoopFuture<Peer> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        return credentials.flatMapThrowing { peer in
            guard isAllowed(peer.uid) else {
                throw MalformedMessage("a process of user \(peer.uid)")
            }
        }
    }

    /// Whether a process of this user may use the stores.
    static func isAllowed(_ user: uid_t) -> Bool { user == 0 || user == geteuid() }
}
