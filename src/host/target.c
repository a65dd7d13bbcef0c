/* SPDX-License-Identifier: MIT */
/*
 * The threads that call us.  Finding out whose memory and whose user is behind
 * a thread id costs several times what a call costs, so it is kept: an open
 * /proc/TID directory goes with each entry, and since that stays tied to the
 * thread it was opened for, an id that means another thread now is noticed by
 * the first look into it.  Two things change under a living thread, its memory
 * by exec and its user by setuid: both calls are trapped just to be seen.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"

#define TARGETS_MAX 1024
#define TARGETS_FEW 16
#define TARGET_FDS 8 /* an entry has three, and the address space of a process four */

/* An address space we know, held until it is gone: two for one would each count half its pins. */
struct target_mm {
	struct cds_list_head node; /* targets.mms */
	struct mm *mm;
};

struct target_fault_entry {
	struct cds_list_head node;
	pid_t tid;
	struct fault_state state;
};

void targets_init(struct targets *targets)
{
	struct rlimit rlim = { .rlim_cur = TARGETS_MAX };

	getrlimit(RLIMIT_NOFILE, &rlim);
	targets->max = (u32)MAX(MIN(rlim.rlim_cur / TARGET_FDS, TARGETS_MAX), TARGETS_FEW);
	targets->look_at = TARGETS_FEW;
	mutex_init(&targets->lock);
	CDS_INIT_LIST_HEAD(&targets->all);
	for (size_t i = 0; i < TARGET_BUCKETS; i++)
		CDS_INIT_LIST_HEAD(&targets->tids[i]);
	CDS_INIT_LIST_HEAD(&targets->mms);
	CDS_INIT_LIST_HEAD(&targets->faults);
}

static void target_free(struct target *target)
{
	if (target->user)
		mem_user_put(target->user);
	if (target->mm)
		mm_put(target->mm);
	fdinfo_forget(target);
	close(target->fd_dir);
	close(target->dir);
	free(target);
}

void targets_fini(struct targets *targets)
{
	struct target *target, *t;
	struct target_fault_entry *fault, *f;
	struct target_mm *known, *k;

	cds_list_for_each_entry_safe(target, t, &targets->all, node)
		target_free(target);
	cds_list_for_each_entry_safe(known, k, &targets->mms, node) {
		mm_put(known->mm);
		free(known);
	}
	cds_list_for_each_entry_safe(fault, f, &targets->faults, node)
		free(fault);
	mutex_destroy(&targets->lock);
}

/* -errno of a failed open below /proc: the thread has ended, or something is short here. */
static int proc_errno(void)
{
	return errno == ENOENT || errno == ESRCH ? -ESRCH : -ENOMEM;
}

/* Tgid and real uid from /proc/TID/status, the first lines of which are short. */
int read_task_ids(int dir, pid_t *ret_tgid, uid_t *ret_uid)
{
	char buf[1024];
	int fd = openat(dir, "status", O_RDONLY | O_CLOEXEC);
	ssize_t len;
	char *p;

	if (fd < 0)
		return proc_errno();
	len = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (len <= 0)
		return -ESRCH;
	buf[len] = 0;
	p = strstr(buf, "\nTgid:");
	if (!p)
		return -ESRCH;
	*ret_tgid = strtol(p + 6, NULL, 10);
	p = strstr(p, "\nUid:");
	if (!p)
		return -ESRCH;
	*ret_uid = strtoul(p + 5, NULL, 10);
	return 0;
}

bool target_alive(const struct target *target)
{
	return faccessat(target->dir, "comm", F_OK, 0) == 0;
}

static struct cds_list_head *target_bucket(struct targets *targets, pid_t tid)
{
	return &targets->tids[(unsigned int)tid % TARGET_BUCKETS];
}

static struct target *target_find(struct targets *targets, pid_t tid) __must_hold(&targets->lock)
{
	struct target *target;

	cds_list_for_each_entry(target, target_bucket(targets, tid), by_tid) {
		if (target->tid == tid)
			return target;
	}
	return NULL;
}

static void target_uncache(struct targets *targets, struct target *target)
	__must_hold(&targets->lock)
{
	if (!target->cached)
		return;
	target->cached = false;
	cds_list_del(&target->node);
	cds_list_del(&target->by_tid);
	targets->count--;
	if (!target->refs)
		target_free(target);
}

/*
 * Make room: every entry whose thread is gone, and the one longest unused.  Next when there are
 * twice as many, so that it costs each of them the same.
 */
static void targets_trim(struct targets *targets) __must_hold(&targets->lock)
{
	struct target *target, *t;

	cds_list_for_each_entry_safe(target, t, &targets->all, node) {
		if (!target->refs && !target_alive(target))
			target_uncache(targets, target);
	}
	if (targets->count >= targets->max)
		target_uncache(targets, cds_list_entry(targets->all.prev, struct target, node));
	targets->look_at = MIN(MAX(2 * targets->count, TARGETS_FEW), targets->max);
}

/* Descriptors or memory are short: keep what is in use only. */
static void targets_drop(struct targets *targets) __must_hold(&targets->lock)
{
	struct target *target, *t;

	cds_list_for_each_entry_safe(target, t, &targets->all, node) {
		if (!target->refs)
			target_uncache(targets, target);
	}
}

char proc_state(const char *path)
{
	char text[256];
	const char *end;
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[MAX(len, 0)] = 0;
	/* "PID (NAME) STATE ...", and a name may have anything in it. */
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

/* A process goes on when its first thread has ended, but its number has no memory any more. */
static bool first_thread_ended(pid_t tgid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", tgid);
	return proc_state(path) == 'Z';
}

/* The address space @pid has, if we know it (borrowed); forgets those that are gone. */
static struct mm *targets_find_mm(struct targets *targets, pid_t pid, pid_t tgid)
	__must_hold(&targets->lock)
{
	struct target_mm *known, *k;

	/* Nearly always it was made for a thread of the same process. */
	cds_list_for_each_entry(known, &targets->mms, node) {
		if (mm_pid(known->mm) == tgid &&
		    (mm_is(known->mm, pid) ||
		     (pid != tgid && mm_alive(known->mm) && first_thread_ended(tgid))))
			return known->mm;
	}
	/* But a process may share another's (vfork), or have been met by a thread first. */
	cds_list_for_each_entry_safe(known, k, &targets->mms, node) {
		if (!mm_alive(known->mm)) {
			cds_list_del(&known->node);
			mm_put(known->mm);
			free(known);
		} else if (mm_is(known->mm, pid)) {
			return known->mm;
		}
	}
	return NULL;
}

/* The same, made known if it was not (counted). */
static int targets_get_mm(struct host *host, pid_t pid, pid_t tgid, struct mm **ret_mm)
	__must_hold(&host->targets.lock)
{
	struct mm *mm = targets_find_mm(&host->targets, pid, tgid);
	struct target_mm *known;
	int rc;

	if (mm) {
		*ret_mm = mm_get(mm);
		return 0;
	}
	known = zalloc(sizeof(*known));
	if (!known)
		return -ENOMEM;
	rc = mm_create_remote(host->space, tgid, &mm);
	if (rc == -ESRCH && pid != tgid)
		rc = mm_create_remote(host->space, pid, &mm);
	if (rc) {
		free(known);
		return rc;
	}
	known->mm = mm;
	cds_list_add(&known->node, &host->targets.mms);
	*ret_mm = mm_get(mm);
	return 0;
}

/* Everything a call into the core needs; the caller holds no lock but targets.lock. */
static int target_fill(struct host *host, struct target *target, uid_t uid)
	__must_hold(&host->targets.lock)
{
	int rc = targets_get_mm(host, target->tid, target->tgid, &target->mm);

	if (rc)
		return rc;
	target->user = mem_user_get(host->space, uid);
	if (target->user)
		return 0;
	mm_put(target->mm);
	target->mm = NULL;
	return -ENOMEM;
}

static int target_create(struct host *host, pid_t tid, struct target **ret_target)
	__must_hold(&host->targets.lock)
{
	struct target *target = zalloc(sizeof(*target));
	char path[32];
	uid_t uid;
	int rc;

	if (!target)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/%d", tid);
	target->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	rc = proc_errno();
	if (target->dir < 0)
		goto err_free;
	target->fd_dir = openat(target->dir, "fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	rc = proc_errno();
	if (target->fd_dir < 0)
		goto err_close_dir;
	target->tid = tid;
	rc = read_task_ids(target->dir, &target->tgid, &uid);
	if (rc)
		goto err_close;
	rc = target_fill(host, target, uid);
	if (rc)
		goto err_close;
	if (host->targets.count >= host->targets.look_at)
		targets_trim(&host->targets);
	target->cached = true;
	cds_list_add(&target->node, &host->targets.all);
	cds_list_add(&target->by_tid, target_bucket(&host->targets, tid));
	host->targets.count++;
	*ret_target = target;
	return 0;
err_close:
	close(target->fd_dir);
err_close_dir:
	close(target->dir);
err_free:
	free(target);
	return rc;
}

/* Is what we keep of a living thread still true? */
static bool target_current(const struct target *target)
{
	return !target->cred_seen && (!target->exec_seen || mm_is(target->mm, target->tid));
}

static void target_touch(struct targets *targets, struct target *target) __must_hold(&targets->lock)
{
	target->refs++;
	if (targets->all.next == &target->node)
		return;
	cds_list_del(&target->node);
	cds_list_add(&target->node, &targets->all);
}

struct target *target_peek(struct host *host, pid_t tid)
{
	struct target *target;

	mutex_lock(&host->targets.lock);
	target = target_find(&host->targets, tid);
	if (target && !target_current(target)) {
		target_uncache(&host->targets, target);
		target = NULL;
	}
	if (target)
		target_touch(&host->targets, target);
	mutex_unlock(&host->targets.lock);
	return target;
}

struct target *target_get(struct host *host, pid_t tid)
{
	struct target *target;

	mutex_lock(&host->targets.lock);
	target = target_find(&host->targets, tid);
	if (target && !(target_current(target) && target_alive(target))) {
		target_uncache(&host->targets, target);
		target = NULL;
	}
	if (!target && target_create(host, tid, &target) == -ENOMEM) {
		targets_drop(&host->targets);
		target_create(host, tid, &target);
	}
	if (target)
		target_touch(&host->targets, target);
	mutex_unlock(&host->targets.lock);
	return target;
}

void target_forget(struct host *host, struct target *target)
{
	mutex_lock(&host->targets.lock);
	target_uncache(&host->targets, target);
	mutex_unlock(&host->targets.lock);
}

void target_put(struct host *host, struct target *target)
{
	mutex_lock(&host->targets.lock);
	if (!--target->refs && !target->cached)
		target_free(target);
	mutex_unlock(&host->targets.lock);
}

/* An exec ends all other threads of the process, and its caller takes over the leader's id. */
void target_saw_exec(struct host *host, pid_t tid)
{
	struct targets *targets = &host->targets;
	struct target *caller, *target;

	mutex_lock(&targets->lock);
	caller = target_find(targets, tid);
	cds_list_for_each_entry(target, &targets->all, node) {
		if (caller ? target->tgid == caller->tgid : true)
			target->exec_seen = true;
	}
	mutex_unlock(&targets->lock);
}

void target_saw_cred(struct host *host, pid_t tid)
{
	struct target *target;

	mutex_lock(&host->targets.lock);
	target = target_find(&host->targets, tid);
	if (target)
		target->cred_seen = true;
	mutex_unlock(&host->targets.lock);
}

struct mm *target_mm_of(struct host *host, pid_t pid)
{
	struct mm *mm;

	mutex_lock(&host->targets.lock);
	mm = targets_find_mm(&host->targets, pid, pid);
	if (mm)
		mm_get(mm);
	mutex_unlock(&host->targets.lock);
	return mm;
}

/* Entries live as long as the host: the file may be read after its thread has ended. */
struct fault_state *target_fault(struct host *host, pid_t tid, bool create)
{
	struct targets *targets = &host->targets;
	struct target_fault_entry *entry;
	struct fault_state *state = NULL;

	mutex_lock(&targets->lock);
	cds_list_for_each_entry(entry, &targets->faults, node) {
		if (entry->tid == tid) {
			state = &entry->state;
			goto out;
		}
	}
	if (!create)
		goto out;
	entry = zalloc(sizeof(*entry));
	if (!entry)
		goto out;
	entry->tid = tid;
	cds_list_add(&entry->node, &targets->faults);
	atomic_fetch_add(&targets->num_faults, 1);
	state = &entry->state;
out:
	mutex_unlock(&targets->lock);
	return state;
}
