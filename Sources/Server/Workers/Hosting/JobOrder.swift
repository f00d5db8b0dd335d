import Storage

/// Runs what writes one job one after another, whichever connection it came over; different jobs do not wait.
actor JobOrder {
    private var last: [JobID: (number: UInt64, task: Task<WorkerLink.Answer, Never>)] = [:]
    private var number: UInt64 = 0

    /// Runs `body` after everything that writes `job` and came before.
    func run(
        _ job: JobID, _ body: @escaping @Sendable () async -> WorkerLink.Answer
    ) async -> WorkerLink.Answer {
        let previous = last[job]?.task
        number += 1
        let mine = number
        let task = Task {
            _ = await previous?.value
            return await body()
        }
        last[job] = (mine, task)
        let answer = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        if last[job]?.number == mine { last[job] = nil }
        return answer
    }
}
