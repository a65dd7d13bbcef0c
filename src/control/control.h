/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a running machine: who may open it looks at contexts, objects and
 * devices, adds and removes devices, and makes things fail.  Lines of JSON in the manner of
 * QEMU's QMP, one request and one reply each, any number of clients:
 *
 *	<- {"uiommufd": {"version": "0.1.0", "pid": 17, "program": ["./vmm"]}}
 *	-> {"execute": "device-remove", "arguments": {"device": "nvme0"}, "id": 1}
 *	<- {"return": {}, "id": 1}
 *	<- {"error": {"class": "DeviceNotFound", "desc": "..."}, "id": 1}
 *
 * What comes in is limited: bytes and nesting of a line, clients, commands a second.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <json-c/json.h>

#include "core/system.h"
#include "machine/machine.h"

#define CONTROL_LINE_MAX    65536 /* bytes of a request */
#define CONTROL_DEPTH_MAX   16	  /* of its nesting */
#define CONTROL_CLIENTS_MAX 32
#define CONTROL_RATE_MAX    5000 /* commands of one client in a second; more have to wait */
#define CONTROL_PATH_MAX    108	 /* of a socket, with the NUL */

struct control;

/**
 * struct control_target - what is controlled; borrowed, immutable while the socket is served
 * @machine: NULL: there are no devices
 * @pid: of the command, as `uiommufd list` shows it
 * @program: NULL-terminated words of the program that is run
 */
struct control_target {
	struct iommufd_system *system;
	struct machine *machine;
	pid_t pid;
	const char *version;
	char *const *program;
};

/**
 * control_start() - serve @path with a thread, and one per client
 * A socket there that nobody listens on is replaced.
 * Return: 0; -EADDRINUSE somebody listens there, or it is no socket; -ENAMETOOLONG; -ENOMEM; -errno
 * of the socket.
 */
int control_start(const struct control_target *target, const char *path,
		  struct control **ret_control);
/** control_stop() - clients are cut off; commands being run are waited for.  NULL is a no-op */
void control_stop(struct control *control);

/** control_serve() - one client on a connected descriptor, until it leaves: the greeting, then
 * lines */
void control_serve(const struct control_target *target, int fd);

/** control_execute() - one line to one reply; the caller's to json_object_put(); NULL: no memory */
struct json_object *control_execute(const struct control_target *target, const char *line,
				    size_t len);

/* ---- where sockets are (path.c), and the other end (client.c) ---- */

/** control_dir() - $XDG_RUNTIME_DIR/uiommufd or /tmp/uiommufd-UID; 0, -ENAMETOOLONG */
int control_dir(char buf[CONTROL_PATH_MAX]);
/** control_dir_make() - it is there, ours, and nobody else's; 0, -EPERM, -errno */
int control_dir_make(const char *dir);
/** control_path() - DIR/PID.sock; 0, -ENAMETOOLONG */
int control_path(char buf[CONTROL_PATH_MAX], pid_t pid);

/** struct control_client - a connection to a machine */
struct control_client {
	int fd;
	struct json_object *greeting;
	char *buf;
	size_t len, size;
};

/** control_connect() - and read the greeting.  Return: 0, -errno, -EPROTO it is something else */
int control_connect(struct control_client *client, const char *path);
void control_disconnect(struct control_client *client);
/** control_send() - one line; control_receive() - the next one: 0, -errno, -EPROTO */
int control_send(struct control_client *client, const char *line, size_t len);
int control_receive(struct control_client *client, struct json_object **ret_reply);
/**
 * control_request() - execute @command
 * @arguments: taken over; may be NULL
 * @ret: what it returned, or the error's description (a string) with -EREMOTEIO
 */
int control_request(struct control_client *client, const char *command,
		    struct json_object *arguments, struct json_object **ret);

#endif
