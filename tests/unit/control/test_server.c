/* SPDX-License-Identifier: MIT */
/* The socket: several clients, rude ones, and its end. */
#include "talk.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[] = "/tmp/control-XXXXXX";
static char path[CONTROL_PATH_MAX];
static struct control *control;

static int server_begin(void **state)
{
	struct control_target target;

	if (rig_begin(state))
		return -1;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/1.sock", dir);
	target = talk_target();
	return control_start(&target, path, &control);
}

static int server_end(void **state)
{
	control_stop(control);
	control = NULL;
	/* The socket has gone with it. */
	if (rmdir(dir))
		return -1;
	return rig_end(state);
}

static void ask_version(struct control_client *client)
{
	struct json_object *ret;

	assert_int_equal(control_request(client, "query-version", NULL, &ret), 0);
	expect_text(ret, "version", "1.2");
	json_object_put(ret);
}

static void a_client_is_greeted_and_answered(void **state)
{
	struct control_client client;
	struct json_object *ret;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(control_connect(&client, path), 0);
	expect_text(client.greeting, "uiommufd/version", "1.2");
	expect_number(client.greeting, "uiommufd/pid", 17);
	expect_text(client.greeting, "uiommufd/program/1", "of control");
	ask_version(&client);
	assert_int_equal(control_request(&client, "nonsense", NULL, &ret), -EREMOTEIO);
	json_object_put(ret);
	ask_version(&client);
	control_disconnect(&client);
}

static void lines_may_come_together_or_in_pieces(void **state)
{
	static const char two[] = "{\"execute\":\"query-version\",\"id\":1}\r\n\n"
				  "{\"execute\":\"query-version\",\"id\":2}\n{\"exec";
	struct control_client client;
	struct json_object *reply;

	assert_int_equal(control_connect(&client, path), 0);
	for (size_t i = 0; i < sizeof(two) - 1; i += 7)
		assert_int_equal(
			control_send(&client, two + i, MIN(sizeof(two) - 1 - i, (size_t)7)), 0);
	for (u64 id = 1; id <= 2; id++) {
		assert_int_equal(control_receive(&client, &reply), 0);
		expect_number(reply, "id", id);
		json_object_put(reply);
	}
	assert_int_equal(control_send(&client, "ute\":\"query-version\",\"id\":3}\n", 29), 0);
	assert_int_equal(control_receive(&client, &reply), 0);
	expect_number(reply, "id", 3);
	json_object_put(reply);
	/* It goes in the middle of a line. */
	control_send(&client, "{\"execute\":", 11);
	control_disconnect(&client);
}

static void a_line_too_long_is_said_so_and_thrown_away(void **state)
{
	size_t len = 3 * CONTROL_LINE_MAX;
	char *line = malloc(len);
	struct control_client client;
	struct json_object *reply;

	memset(line, 'a', len);
	line[len - 1] = '\n';
	assert_int_equal(control_connect(&client, path), 0);
	assert_int_equal(control_send(&client, line, len), 0);
	assert_int_equal(control_receive(&client, &reply), 0);
	expect_text(reply, "error/desc", "the line is too long");
	json_object_put(reply);
	ask_version(&client);
	control_disconnect(&client);
	free(line);
}

static void *many_questions(void *arg)
{
	struct control_client client;

	assert_int_equal(control_connect(&client, path), 0);
	for (int i = 0; i < 50; i++)
		ask_version(&client);
	control_disconnect(&client);
	return NULL;
}

static void many_clients_are_served_at_once(void **state)
{
	pthread_t threads[CONTROL_CLIENTS_MAX / 2];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_questions, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
}

static void one_client_too_many_is_turned_away_until_one_goes(void **state)
{
	struct control_client clients[CONTROL_CLIENTS_MAX], more;
	int rc = -1;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		assert_int_equal(control_connect(&clients[i], path), 0);
	assert_int_equal(control_connect(&more, path), -ECONNRESET);
	ask_version(&clients[CONTROL_CLIENTS_MAX - 1]);
	control_disconnect(&clients[0]);
	/* Its place is free when its thread has noticed. */
	for (int i = 0; rc && i < 12000; i++) {
		rc = control_connect(&more, path);
		if (rc)
			usleep(5000);
	}
	assert_int_equal(rc, 0);
	ask_version(&more);
	control_disconnect(&more);
	for (size_t i = 1; i < CONTROL_CLIENTS_MAX; i++)
		control_disconnect(&clients[i]);
}

static void stopping_cuts_clients_off(void **state)
{
	struct control_client client;
	struct json_object *ret;
	struct control_target target = talk_target();

	assert_int_equal(control_connect(&client, path), 0);
	control_send(&client, "{\"execute\":", 11);
	control_stop(control);
	assert_int_not_equal(control_request(&client, "query-version", NULL, &ret), 0);
	control_disconnect(&client);
	assert_int_equal(control_connect(&client, path), -ENOENT);
	assert_int_equal(control_start(&target, path, &control), 0);
}

/* Until the server takes no more, as it waits for its answers to be read. */
static void ask_and_never_read(struct control_client *client)
{
	static const char line[] = "{\"execute\":\"query-commands\"}\n";
	int refused = 0;

	while (refused < 50) {
		ssize_t n = send(client->fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		refused = n > 0 ? 0 : refused + 1;
		if (refused)
			usleep(1000);
	}
}

static void who_reads_no_answer_holds_up_nobody(void **state)
{
	struct control_target target = talk_target();
	struct control_client rude, client;

	assert_int_equal(control_connect(&rude, path), 0);
	ask_and_never_read(&rude);
	assert_int_equal(control_connect(&client, path), 0);
	ask_version(&client);
	/* Nor does the end wait for it to read. */
	control_stop(control);
	control_disconnect(&client);
	control_disconnect(&rude);
	assert_int_equal(control_start(&target, path, &control), 0);
}

static _Atomic bool found_enough;

/* As `uiommufd list` does: who refuses is dead. */
static void *clear_away(void *arg)
{
	struct control_client client;

	while (!found_enough) {
		int rc = control_connect(&client, path);

		if (!rc)
			control_disconnect(&client);
		else if (rc == -ECONNREFUSED)
			unlink(path);
	}
	return NULL;
}

static void who_clears_away_dead_sockets_spares_one_that_comes(void **state)
{
	struct control_target target = talk_target();
	struct stat st, again;
	pthread_t thread;

	control_stop(control);
	assert_int_equal(pthread_create(&thread, NULL, clear_away, NULL), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(control_start(&target, path, &control), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		control_stop(control);
		/* Nor is what is left by the last one in the way of the next. */
		assert_int_equal(stat(path, &again), -1);
	}
	found_enough = true;
	pthread_join(thread, NULL);
	assert_int_equal(control_start(&target, path, &control), 0);
}

static void a_socket_in_use_is_left_alone(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct control_target target = talk_target();
	struct control *other;
	char stale[CONTROL_PATH_MAX + 8];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(control_start(&target, path, &other), -EADDRINUSE);
	/* One that nobody listens on any more is replaced. */
	snprintf(stale, sizeof(stale), "%s/2.sock", dir);
	strcpy(addr.sun_path, stale);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(control_start(&target, stale, &other), 0);
	control_stop(other);
	assert_int_equal(control_start(&target, "/etc/passwd", &other), -EADDRINUSE);
	assert_int_equal(control_start(&target, "/nonexistent/x.sock", &other), -ENOENT);
	memset(stale, 'a', sizeof(stale) - 1);
	stale[sizeof(stale) - 1] = 0;
	assert_int_equal(control_start(&target, stale, &other), -ENAMETOOLONG);
}

static void the_default_directory_is_ours_alone(void **state)
{
	char made[CONTROL_PATH_MAX];
	struct stat st;

	snprintf(made, sizeof(made), "%s/run", dir);
	assert_int_equal(mkdir(made, 0700), 0);
	setenv("XDG_RUNTIME_DIR", made, 1);
	assert_int_equal(control_dir(made), 0);
	assert_non_null(strstr(made, "/run/uiommufd"));
	assert_int_equal(control_dir_make(made), 0);
	assert_int_equal(control_dir_make(made), 0);
	assert_int_equal(stat(made, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	chmod(made, 0755);
	assert_int_equal(control_dir_make(made), -EPERM);
	rmdir(made);
	assert_int_equal(symlink("/tmp", made), 0);
	assert_int_equal(control_dir_make(made), -EPERM);
	unlink(made);
	*strrchr(made, '/') = 0;
	rmdir(made);
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(control_dir(made), 0);
	assert_int_equal(strncmp(made, "/tmp/uiommufd-", 14), 0);
}

#define served(f) cmocka_unit_test_setup_teardown(f, server_begin, server_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		served(a_client_is_greeted_and_answered),
		served(lines_may_come_together_or_in_pieces),
		served(a_line_too_long_is_said_so_and_thrown_away),
		served(many_clients_are_served_at_once),
		served(one_client_too_many_is_turned_away_until_one_goes),
		served(stopping_cuts_clients_off),
		served(who_reads_no_answer_holds_up_nobody),
		served(who_clears_away_dead_sockets_spares_one_that_comes),
		served(a_socket_in_use_is_left_alone),
		served(the_default_directory_is_ours_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
