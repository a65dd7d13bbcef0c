/* SPDX-License-Identifier: MIT */
/* Whom the tracer's thread traces: threads are seized, a process at a time, and forgotten. */
#include "host/mmio/tracer_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"

#define TRACE_OPTIONS                                                                              \
	(PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |     \
	 PTRACE_O_TRACEEXIT)

static struct cds_list_head *tracee_bucket(struct tracer *tracer, pid_t tid)
{
	return &tracer->tracees[(unsigned int)tid % TRACEE_BUCKETS];
}

struct tracee *tracee_find(struct tracer *tracer, pid_t tid)
{
	struct tracee *tracee;

	cds_list_for_each_entry(tracee, tracee_bucket(tracer, tid), node) {
		if (tracee->tid == tid)
			return tracee;
	}
	return NULL;
}

pid_t tracee_tgid(pid_t tid)
{
	char path[32];
	pid_t tgid = 0;
	uid_t uid;
	int dir;

	snprintf(path, sizeof(path), "/proc/%d", tid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return 0;
	if (read_task_ids(dir, &tgid, &uid))
		tgid = 0;
	close(dir);
	return tgid;
}

int tracee_add(struct tracer *tracer, pid_t tid)
{
	struct tracee *tracee;

	if (tracee_find(tracer, tid))
		return 0;
	tracee = zalloc(sizeof(*tracee));
	if (!tracee)
		return -ENOMEM;
	tracee->tid = tid;
	cds_list_add(&tracee->node, tracee_bucket(tracer, tid));
	return 0;
}

void tracee_remove(struct tracer *tracer, pid_t tid)
{
	struct tracee *tracee = tracee_find(tracer, tid);

	if (!tracee)
		return;
	pins_release(&tracer->pins, tid);
	if (tracer->maps.tgid == tid)
		tracer->maps.tgid = 0;
	cds_list_del(&tracee->node);
	free(tracee);
}

/*
 * Why a thread cannot be seized: 0 it is ours already and will stop, -ESRCH it has ended, -EPERM.
 */
static int why_refused(pid_t tid)
{
	char path[32], line[128], state = 'X';
	pid_t other = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "State: %c", &state) != 1)
			sscanf(line, "TracerPid: %d", &other);
	}
	fclose(f);
	if (state == 'Z' || state == 'X')
		return -ESRCH;
	return other == gettid() ? 0 : -EPERM;
}

static int seize(struct tracer *tracer, pid_t tid)
{
	int rc;

	if (tracee_find(tracer, tid))
		return 0;
	rc = tracee_add(tracer, tid);
	if (rc)
		return rc;
	if (!ptrace(PTRACE_SEIZE, tid, NULL, TRACE_OPTIONS))
		return 1;
	rc = errno == EPERM ? why_refused(tid) : -errno;
	tracee_remove(tracer, tid);
	return rc;
}

/* Before the main thread asks about it again: it would be told what is ours. */
static void mark_program(struct tracer *tracer, pid_t tgid)
{
	if (tgid != tracer->host->program)
		return;
	mutex_lock(&tracer->wait_lock);
	tracer->traces_program = true;
	mutex_unlock(&tracer->wait_lock);
}

/* New threads of those seized are ours by themselves; so until a look finds none. */
int tracer_seize(struct tracer *tracer, pid_t tid)
{
	pid_t tgid = tracee_tgid(tid);
	struct dirent *ent;
	char path[32];
	int rc, more;
	DIR *dir;

	if (!tgid)
		return -ESRCH;
	mark_program(tracer, tgid);
	snprintf(path, sizeof(path), "/proc/%d/task", tgid);
	do {
		more = 0;
		dir = opendir(path);
		if (!dir)
			return -ESRCH;
		while ((ent = readdir(dir))) {
			if (*ent->d_name == '.')
				continue;
			rc = seize(tracer, atoi(ent->d_name));
			/* A thread that has ended meanwhile is none. */
			if (rc < 0 && rc != -ESRCH) {
				closedir(dir);
				return rc;
			}
			more |= rc > 0;
		}
		closedir(dir);
	} while (more);
	return tracee_find(tracer, tid) ? 0 : -EPERM;
}
