// A client of joblet.proto that shares no code with the server: libgrpc++ and libprotobuf, over mutual TLS.
//
// Usage: wire-client ADDRESS CERTIFICATES run NAME CPU MEMORY COMMAND [ARGUMENT...]
//                                         status|stop|delete|log ID
//                                         list
//
// Prints each field of the answer as `name=value`; the log as it is. A refused call prints `error=CODE TEXT`.

#include <cstdint>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "joblet.grpc.pb.h"

namespace {

std::string Read(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::unique_ptr<joblet::JobService::Stub> Connect(const std::string& address, const std::string& certificates) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = Read(certificates + "/ca-cert.pem");
    options.pem_cert_chain = Read(certificates + "/client-cert.pem");
    options.pem_private_key = Read(certificates + "/client-key.pem");
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("joblet");
    return joblet::JobService::NewStub(
        grpc::CreateCustomChannel(address, grpc::SslCredentials(options), arguments));
}

template <typename Value>
void Print(const std::string& name, const Value& value) {
    std::cout << name << '=' << value << '\n';
}

int Finish(const grpc::Status& status) {
    if (status.ok()) return 0;
    std::cout << "error=" << status.error_code() << ' ' << status.error_message() << '\n';
    return 1;
}

int Run(joblet::JobService::Stub& stub, const std::vector<std::string>& words) {
    joblet::RunJobRequest request;
    request.set_name(words.at(1));
    request.set_maxcpu(std::stoi(words.at(2)));
    request.set_maxmemory(std::stoi(words.at(3)));
    request.set_command(words.at(4));
    for (std::size_t index = 5; index < words.size(); ++index) request.add_args(words[index]);
    (*request.mutable_environment())["FROM"] = "wire-client";
    (*request.mutable_secret_environment())["HIDDEN"] = "value";
    joblet::FileUpload* file = request.add_uploads();
    file->set_path("folder/upload");
    file->set_content(std::string("\0\xff upload\n", 10));
    file->set_mode(0640);
    grpc::ClientContext context;
    joblet::RunJobResponse response;
    const grpc::Status status = stub.RunJob(&context, request, &response);
    if (!status.ok()) return Finish(status);
    Print("jobUuid", response.jobuuid());
    Print("status", response.status());
    Print("command", response.command());
    for (const std::string& argument : response.args()) Print("args", argument);
    Print("maxCpu", response.maxcpu());
    Print("maxMemory", response.maxmemory());
    Print("startTime", response.starttime());
    return 0;
}

// Job and GetJobStatusRes have these fields in common, at the same numbers.
template <typename Message>
void PrintJob(const Message& job) {
    Print("uuid", job.uuid());
    Print("name", job.name());
    Print("command", job.command());
    for (const std::string& argument : job.args()) Print("args", argument);
    Print("maxCPU", job.maxcpu());
    Print("maxMemory", job.maxmemory());
    Print("status", job.status());
    Print("startTime", job.starttime());
    Print("endTime", job.endtime());
    Print("exitCode", job.exitcode());
    for (const auto& [name, value] : job.environment()) Print("environment." + name, value);
    for (const auto& [name, value] : job.secret_environment()) Print("secret_environment." + name, value);
    Print("nodeId", job.nodeid());
}

int Status(joblet::JobService::Stub& stub, const std::string& uuid) {
    grpc::ClientContext context;
    joblet::GetJobStatusReq request;
    request.set_uuid(uuid);
    joblet::GetJobStatusRes response;
    const grpc::Status status = stub.GetJobStatus(&context, request, &response);
    if (!status.ok()) return Finish(status);
    PrintJob(response);
    Print("network", response.network());
    Print("workDir", response.workdir());
    for (const std::string& upload : response.uploads()) Print("uploads", upload);
    return 0;
}

int List(joblet::JobService::Stub& stub) {
    grpc::ClientContext context;
    joblet::Jobs response;
    const grpc::Status status = stub.ListJobs(&context, joblet::EmptyRequest(), &response);
    if (!status.ok()) return Finish(status);
    for (const joblet::Job& job : response.jobs()) PrintJob(job);
    return 0;
}

int Stop(joblet::JobService::Stub& stub, const std::string& uuid) {
    grpc::ClientContext context;
    joblet::StopJobReq request;
    request.set_uuid(uuid);
    joblet::StopJobRes response;
    const grpc::Status status = stub.StopJob(&context, request, &response);
    if (!status.ok()) return Finish(status);
    Print("uuid", response.uuid());
    Print("status", response.status());
    Print("endTime", response.endtime());
    Print("exitCode", response.exitcode());
    return 0;
}

int Delete(joblet::JobService::Stub& stub, const std::string& uuid) {
    grpc::ClientContext context;
    joblet::DeleteJobReq request;
    request.set_uuid(uuid);
    joblet::DeleteJobRes response;
    const grpc::Status status = stub.DeleteJob(&context, request, &response);
    if (!status.ok()) return Finish(status);
    Print("uuid", response.uuid());
    Print("success", response.success());
    Print("message", response.message());
    return 0;
}

int Log(joblet::JobService::Stub& stub, const std::string& uuid) {
    grpc::ClientContext context;
    joblet::GetJobLogsReq request;
    request.set_uuid(uuid);
    const auto reader = stub.GetJobLogs(&context, request);
    joblet::DataChunk chunk;
    while (reader->Read(&chunk)) std::cout.write(chunk.payload().data(), std::streamsize(chunk.payload().size()));
    return Finish(reader->Finish());
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const std::vector<std::string> all(arguments + 1, arguments + count);
        const auto stub = Connect(all.at(0), all.at(1));
        const std::vector<std::string> words(all.begin() + 2, all.end());
        const std::string& command = words.at(0);
        if (command == "run") return Run(*stub, words);
        if (command == "list") return List(*stub);
        if (command == "status") return Status(*stub, words.at(1));
        if (command == "stop") return Stop(*stub, words.at(1));
        if (command == "delete") return Delete(*stub, words.at(1));
        if (command == "log") return Log(*stub, words.at(1));
        std::cerr << "unknown command " << command << '\n';
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
    }
    return 2;
}
