import Glibc

/// Blocking TCP on the loopback interface, for servers of tests.
struct TCP {
    let descriptor: Int32

    /// A socket that listens on a port, a free one for 0.
    static func listen(port: UInt16 = 0) -> (socket: TCP, port: UInt16)? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        // Connections that ended a moment ago must not keep their port.
        var yes: Int32 = 1
        _ = setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard var address = bound(descriptor, port: port, Glibc.bind), Glibc.listen(descriptor, 128) == 0 else {
            Glibc.close(descriptor)
            return nil
        }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutableBytes(of: &address) { bytes in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return }
            _ = getsockname(descriptor, pointer, &length)
        }
        return (TCP(descriptor: descriptor), UInt16(bigEndian: address.sin_port))
    }

    /// A connection to a port.
    static func connect(port: UInt16) -> TCP? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        guard bound(descriptor, port: port, Glibc.connect) != nil else {
            Glibc.close(descriptor)
            return nil
        }
        return TCP(descriptor: descriptor)
    }

    private static func bound(
        _ descriptor: Int32, port: UInt16, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> sockaddr_in? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let status = withUnsafeBytes(of: &address) { bytes -> Int32 in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            return call(descriptor, pointer, socklen_t(bytes.count))
        }
        return status == 0 ? address : nil
    }

    func accept() -> TCP? {
        let descriptor = Glibc.accept(descriptor, nil, nil)
        return descriptor >= 0 ? TCP(descriptor: descriptor) : nil
    }

    /// The next bytes; none at the end or after an error.
    func receive() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : []
    }

    func send(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            done += count
        }
    }

    func shutDown() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

    func close() { _ = Glibc.close(descriptor) }
}
