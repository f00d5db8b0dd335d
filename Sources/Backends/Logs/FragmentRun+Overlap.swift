package import Storage

extension FragmentRun {
    /// The part of the run that a log does not have which ends at `end` with the gap notes `notes` there.
    ///
    /// Throws `gap(expected:)` where the run begins behind `end`.
    package func unknown(
        toLogEndingAt end: UInt64, notes: some Collection<Fragment>
    ) throws(StorageError) -> FragmentRun {
        guard start <= end else { throw .gap(expected: end) }
        let rest = dropping(before: end)
        guard !notes.isEmpty, let first = rest.fragments.first, notes.contains(first) else { return rest }
        var news = FragmentRun(start: rest.start, capacity: rest.bytes.count)
        rest.forEach { fragment, bytes in
            switch fragment.content {
            case .bytes:
                news.append(stream: fragment.stream, time: fragment.time, bytes: bytes)
            case .dropped(let count):
                if fragment.position > end || !notes.contains(fragment) {
                    news.appendGap(stream: fragment.stream, time: fragment.time, dropped: count)
                }
            }
        }
        return news
    }
}
