/* SPDX-License-Identifier: MIT */
/*
 * python3 for tests that start it a thousand times
 *
 *	served_python ARGUMENT...
 *
 * A process that python_server.py forks runs the arguments, and this one ends as that
 * one does.  Where no server is, or the server cannot stand in for this process, it
 * becomes python3 itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	OPEN_FILES = 32, /* those of a number below this are handed on */
	DECLINED = -1,   /* in place of a status */
};

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int server;

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server >= 0 &&
	    connect(server, (struct sockaddr *)&address, sizeof(address)) == 0)
		return server;
	if (server >= 0)
		close(server);
	return -1;
}

/* Sends the open files, with their numbers as the text. */
static int send_files(int server)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(OPEN_FILES * sizeof(int))];
	} control = {0};
	uint8_t numbers[OPEN_FILES];
	int files[OPEN_FILES];
	size_t count = 0;
	struct iovec text = {.iov_base = numbers};
	struct msghdr message = {
		.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control};

	for (int file = 0; file < OPEN_FILES; file++) {
		if (file == server || fcntl(file, F_GETFD) < 0)
			continue;
		numbers[count] = (uint8_t)file;
		files[count++] = file;
	}
	if (count == 0)
		return -1;
	text.iov_len = count;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), files, count * sizeof(int));
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	return sendmsg(server, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Ends as the process with that status ended. */
static int end_as(int status)
{
	if (WIFSIGNALED(status)) {
		const struct rlimit no_core = {0, 0};

		setrlimit(RLIMIT_CORE, &no_core);
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	static char python[] = "/usr/bin/python3";
	int server = connect_to(getenv("CVQ_TEST_PYTHON_SERVER"));
	int status = DECLINED;

	if (argc > 1 && server >= 0 && send_files(server) == 0) {
		if (recv(server, &status, sizeof(status), MSG_WAITALL) != sizeof(status)) {
			fprintf(stderr, "served_python: the server has ended\n");
			return 125;
		}
		if (status != DECLINED)
			return end_as(status);
	}
	argv[0] = python;
	execv(python, argv);
	fprintf(stderr, "served_python: %s: %s\n", python, strerror(errno));
	return 127;
}
