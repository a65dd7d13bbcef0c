/* SPDX-License-Identifier: MIT */
/* The other end of the socket, for the command and tests. */
#include "control/control.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REPLY_MAX (64 << 20)

int control_connect(struct control_client *client, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct json_object *hello;
	int rc;

	*client = (struct control_client){.fd = -1};
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return -errno;
	rc = connect(client->fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	if (!rc)
		rc = control_receive(client, &client->greeting);
	if (!rc && !json_object_object_get_ex(client->greeting, "uiommufd", &hello))
		rc = -EPROTO;
	if (rc)
		control_disconnect(client);
	return rc;
}

void control_disconnect(struct control_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	json_object_put(client->greeting);
	free(client->buf);
	*client = (struct control_client){.fd = -1};
}

int control_send(struct control_client *client, const char *line, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(client->fd, line, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		line += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Until there is a newline in the buffer; where it is, or -errno. */
static ssize_t line_wait(struct control_client *client)
{
	size_t looked = 0;
	char *newline, *grown;
	ssize_t n;

	for (;;) {
		newline = client->len > looked
				  ? memchr(client->buf + looked, '\n', client->len - looked)
				  : NULL;
		if (newline)
			return newline - client->buf;
		looked = client->len;
		if (client->len == client->size) {
			if (client->size >= REPLY_MAX)
				return -EPROTO;
			client->size = client->size ? 2 * client->size : 4096;
			grown = realloc(client->buf, client->size);
			if (!grown)
				return -ENOMEM;
			client->buf = grown;
		}
		n = recv(client->fd, client->buf + client->len, client->size - client->len, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -ECONNRESET;
		client->len += n > 0 ? (size_t)n : 0;
	}
}

int control_receive(struct control_client *client, struct json_object **ret_reply)
{
	struct json_tokener *tok = json_tokener_new();
	ssize_t end = line_wait(client);

	if (!tok || end < 0) {
		if (tok)
			json_tokener_free(tok);
		return end < 0 ? (int)end : -ENOMEM;
	}
	*ret_reply = json_tokener_parse_ex(tok, client->buf, (int)end);
	json_tokener_free(tok);
	client->len -= (size_t)end + 1;
	memmove(client->buf, client->buf + end + 1, client->len);
	return *ret_reply ? 0 : -EPROTO;
}

int control_request(struct control_client *client, const char *command,
		    struct json_object *arguments, struct json_object **ret)
{
	struct json_object *request = json_object_new_object(), *reply, *value;
	const char *text;
	size_t len;
	int rc;

	json_object_object_add(request, "execute", json_object_new_string(command));
	if (arguments)
		json_object_object_add(request, "arguments", arguments);
	text = json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &len);
	rc = control_send(client, text, len);
	if (!rc)
		rc = control_send(client, "\n", 1);
	json_object_put(request);
	if (!rc)
		rc = control_receive(client, &reply);
	if (rc)
		return rc;
	if (json_object_object_get_ex(reply, "return", &value))
		*ret = json_object_get(value);
	else if (json_object_object_get_ex(reply, "error", &value) &&
		 json_object_object_get_ex(value, "desc", &value))
		*ret = json_object_get(value), rc = -EREMOTEIO;
	else
		rc = -EPROTO;
	json_object_put(reply);
	return rc;
}
