import Glibc

/// A configuration file that was found: where, its bytes, and who may read it.
struct ConfigurationFile {
    let path: String
    let bytes: [UInt8]
    /// Permission bits.
    let mode: mode_t

    /// Reads the file that is named, or the first of the search path that exists.
    ///
    /// - Returns: nil if none is named and none exists.
    /// - Throws: if a named file does not exist, or one that exists cannot be read.
    static func open(_ named: String?, searchPath: [String]) throws(Configuration.LoadError) -> ConfigurationFile? {
        if let named {
            guard let file = try read(named) else {
                throw refusal(named, "no such file")
            }
            return file
        }
        for path in searchPath {
            if let file = try read(path) { return file }
        }
        return nil
    }

    /// Reads one file, nil if there is none.
    private static func read(_ path: String) throws(Configuration.LoadError) -> ConfigurationFile? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw refusal(path, "cannot be opened: \(reason())")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw refusal(path, "cannot be read: \(reason())") }

        // One byte more than allowed is enough to refuse the file; /dev/zero must not fill the memory.
        let limit = ConfigurationDocument.maximumBytes + 1
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let read = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), limit - count)
            }
            if read < 0 && errno == EINTR { continue }
            guard read >= 0 else { throw refusal(path, "cannot be read: \(reason())") }
            if read == 0 { break }
            count += read
        }
        bytes.removeSubrange(count...)
        return ConfigurationFile(path: path, bytes: bytes, mode: status.st_mode)
    }

    private static func reason() -> String {
        String(cString: strerror(errno)).lowercased()
    }

    private static func refusal(_ path: String, _ message: String) -> Configuration.LoadError {
        Configuration.LoadError([Configuration.Problem(source: path, message)])
    }
}
