/* SPDX-License-Identifier: MIT */
/*
 * The socket: a thread that accepts, and one per client that reads a line, runs it
 * and writes the reply.  A command may take long (a page request waits for its
 * answer, a removal for the device's user); then only its own client waits.
 */
#include "control/control.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "control/json.h"

#define SEND_SECONDS	10 /* a client that does not read its replies is cut off */
#define ACCEPT_AGAIN_MS 100

struct control_session {
	struct control *control;
	pthread_t thread;
	int fd;
	bool used;
	_Atomic bool over; /* the thread is about to end */
};

/**
 * struct control - @sessions are the accepting thread's, and control_stop()'s once that has ended
 */
struct control {
	struct control_target target;
	char path[CONTROL_PATH_MAX];
	ino_t inode; /* of our socket: another run may have put its own there */
	int listener;
	int stop; /* eventfd */
	pthread_t thread;
	struct control_session sessions[CONTROL_CLIENTS_MAX];
};

/* ---- one client ---- */

static int send_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_json(int fd, struct json_object *obj)
{
	const char *text;
	size_t len;
	int rc;

	text = json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN, &len);
	rc = text ? send_all(fd, text, len) : -ENOMEM;
	return rc ?: send_all(fd, "\n", 1);
}

static struct json_object *greeting(const struct control_target *target)
{
	struct json_object *hello = json_object_new_object(), *obj = json_object_new_object();
	struct json_object *program = json_object_new_array();

	json_add_string(hello, "version", target->version);
	json_add_u64(hello, "pid", (u64)target->pid);
	for (char *const *word = target->program; word && *word; word++)
		json_append(program, json_object_new_string(*word));
	json_add(hello, "program", program);
	json_add(obj, "uiommufd", hello);
	return obj;
}

struct rate {
	time_t second;
	unsigned int count;
};

/* Let nobody keep a processor busy with questions. */
static void rate_limit(struct rate *rate)
{
	struct timespec now, rest;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != rate->second) {
		*rate = (struct rate){.second = now.tv_sec};
	} else if (rate->count >= CONTROL_RATE_MAX) {
		rest = (struct timespec){.tv_nsec = 999999999 - now.tv_nsec};
		nanosleep(&rest, NULL);
	}
	rate->count++;
}

static int serve_line(const struct control_target *target, int fd, const char *line, size_t len)
{
	struct json_object *reply;
	int rc;

	if (len && line[len - 1] == '\r')
		len--;
	if (!len)
		return 0;
	reply = control_execute(target, line, len);
	rc = reply ? send_json(fd, reply) : -ENOMEM;
	json_object_put(reply);
	return rc;
}

static int serve_too_long(int fd)
{
	static const char text[] =
		"{\"error\":{\"class\":\"BadRequest\",\"desc\":\"the line is too long\"}}\n";

	return send_all(fd, text, sizeof(text) - 1);
}

/**
 * struct reader - @skip: the rest of a line that was too long is being thrown away
 * @looked: bytes of @buf known to have no newline
 */
struct reader {
	char buf[CONTROL_LINE_MAX + 1];
	size_t len, looked;
	bool skip;
	struct rate rate;
};

/* Serve every whole line in the buffer; what is left begins one. */
static int reader_lines(struct reader *reader, const struct control_target *target, int fd)
{
	size_t begin = 0;
	char *newline;
	int rc = 0;

	while (!rc && (newline = memchr(reader->buf + MAX(begin, reader->looked), '\n',
					reader->len - MAX(begin, reader->looked)))) {
		size_t len = (size_t)(newline - reader->buf) - begin;

		rate_limit(&reader->rate);
		if (!reader->skip)
			rc = serve_line(target, fd, reader->buf + begin, len);
		reader->skip = false;
		begin += len + 1;
	}
	reader->len -= begin;
	memmove(reader->buf, reader->buf + begin, reader->len);
	reader->looked = reader->len;
	if (rc || reader->len < sizeof(reader->buf))
		return rc;
	if (!reader->skip)
		rc = serve_too_long(fd);
	reader->skip = true;
	reader->len = 0;
	reader->looked = 0;
	return rc;
}

void control_serve(const struct control_target *target, int fd)
{
	const struct timeval patience = {.tv_sec = SEND_SECONDS};
	struct json_object *hello = greeting(target);
	struct reader *reader = zalloc(sizeof(*reader));
	ssize_t n;
	int rc;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	rc = reader ? send_json(fd, hello) : -ENOMEM;
	while (!rc) {
		n = recv(fd, reader->buf + reader->len, sizeof(reader->buf) - reader->len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		reader->len += (size_t)n;
		rc = reader_lines(reader, target, fd);
	}
	json_object_put(hello);
	free(reader);
}

static void *session_thread(void *arg)
{
	struct control_session *session = arg;

	control_serve(&session->control->target, session->fd);
	/* The descriptor is closed by who joins: until then its number is this client's. */
	shutdown(session->fd, SHUT_RDWR);
	atomic_store(&session->over, true);
	return NULL;
}

/* ---- accepting ---- */

static void session_end(struct control_session *session)
{
	pthread_join(session->thread, NULL);
	close(session->fd);
	session->used = false;
}

/* The socket is ours alone by its directory; this holds also where somebody chose another one. */
static bool peer_is_us(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
	       (cred.uid == geteuid() || cred.uid == 0);
}

static int thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int rc;

	/* Signals are the main thread's business, but for those of a guarded copy. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

/* false: there are no descriptors; who connects has to wait. */
static bool control_accept(struct control *control)
{
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
	struct control_session *session = NULL;

	if (fd < 0)
		return errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (control->sessions[i].used && atomic_load(&control->sessions[i].over))
			session_end(&control->sessions[i]);
		if (!session && !control->sessions[i].used)
			session = &control->sessions[i];
	}
	if (!session || !peer_is_us(fd)) {
		close(fd);
		return true;
	}
	session->control = control;
	session->fd = fd;
	atomic_store(&session->over, false);
	session->used = !thread_start(&session->thread, session_thread, session);
	if (!session->used)
		close(fd);
	return true;
}

static void *control_thread(void *arg)
{
	struct control *control = arg;
	struct pollfd pfds[2] = {
		{.fd = control->listener, .events = POLLIN},
		{.fd = control->stop, .events = POLLIN},
	};

	for (;;) {
		if (poll(pfds, 2, -1) < 0)
			continue;
		if (pfds[1].revents)
			return NULL;
		/* It would be tried again at once, and again. */
		if (!control_accept(control))
			poll(&pfds[1], 1, ACCEPT_AGAIN_MS);
	}
}

/* ---- start and end ---- */

/* A socket there that nobody answers on is what a killed run has left. */
static int path_clear(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc = 0;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* ENOENT: its run has ended just now. */
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
	    (errno != ECONNREFUSED && errno != ENOENT))
		rc = -EADDRINUSE;
	close(fd);
	if (!rc && unlink(addr->sun_path) && errno != ENOENT)
		rc = -errno;
	return rc;
}

static int directory_open(const char *path)
{
	char dir[CONTROL_PATH_MAX];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A socket one can connect to, under a name in @dir that nobody looks for. */
static int listener_open(struct control *control, int dir, const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir, name);
	control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->listener < 0)
		return -errno;
	unlinkat(dir, name, 0);
	/* Before anybody can connect; a umask would be the whole process's. */
	if (fchmod(control->listener, 0600) ||
	    bind(control->listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    fchmodat(dir, name, 0600, 0) || listen(control->listener, CONTROL_CLIENTS_MAX) ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	control->inode = st.st_ino;
	return 0;
}

/*
 * The socket has its name only when somebody listens: who looks for machines takes one that
 * refuses him for what a killed run has left, and clears it away.
 */
static int control_listen(struct control *control)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int rc, dir = directory_open(control->path);
	char name[48];

	if (dir < 0)
		return dir;
	memcpy(addr.sun_path, control->path, sizeof(addr.sun_path));
	snprintf(name, sizeof(name), ".uiommufd-%d-%d", getpid(), dir);
	rc = path_clear(&addr);
	if (!rc) {
		rc = listener_open(control, dir, name);
		if (!rc && linkat(dir, name, AT_FDCWD, control->path, 0))
			rc = errno == EEXIST ? -EADDRINUSE : -errno;
		unlinkat(dir, name, 0);
	}
	close(dir);
	return rc;
}

static void control_unlisten(struct control *control)
{
	struct stat st;

	if (control->inode && !lstat(control->path, &st) && st.st_ino == control->inode)
		unlink(control->path);
	if (control->listener >= 0)
		close(control->listener);
	if (control->stop >= 0)
		close(control->stop);
	free(control);
}

int control_start(const struct control_target *target, const char *path,
		  struct control **ret_control)
{
	struct control *control;
	int rc;

	if (strlen(path) >= CONTROL_PATH_MAX)
		return -ENAMETOOLONG;
	control = zalloc(sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->target = *target;
	control->listener = -1;
	memcpy(control->path, path, strlen(path));
	control->stop = eventfd(0, EFD_CLOEXEC);
	rc = control->stop < 0 ? -errno : control_listen(control);
	if (!rc)
		rc = thread_start(&control->thread, control_thread, control);
	if (rc) {
		control_unlisten(control);
		return rc;
	}
	*ret_control = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	eventfd_write(control->stop, 1);
	pthread_join(control->thread, NULL);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_session *session = &control->sessions[i];

		if (!session->used)
			continue;
		shutdown(session->fd, SHUT_RDWR);
		session_end(session);
	}
	control_unlisten(control);
}
