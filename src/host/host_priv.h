/* SPDX-License-Identifier: MIT */
/*
 * The inside of the way in.  One struct host per supervised tree; one struct
 * call per notification being served, on the stack of its serving thread.
 *
 *   launch.c    front process, supervisor, program: forks, status, signals
 *   sandbox.c   the program's namespaces and its /dev
 *   filter.c    which system calls come to us
 *   notify.c    the notification descriptor
 *   serve.c     serving threads
 *   call.c      one call: dispatch, arguments, answer
 *   target.c    what is known of the calling thread; task_ops.c what the core asks of it
 *   fdinfo.c    which inode is behind the descriptor that a thread uses again and again
 *   fdtable.c   our files behind the program's descriptors; event_file.c those with poll()
 *   maps.c      what the program maps of them
 *   names.c     the tree's entries, as the program finds them; covers.c their files
 *   path.c      which of our names a path means
 *   attr_file.c files of sysfs that are opened
 *   sys_*.c     the system calls
 *   mmio/       mappings without memory: accesses become calls
 *   proc_file.c /proc files we answer
 *   trace*.c    -v
 *
 * Locks, outermost first: fdtable.drain_lock, targets.lock, fdtable.lock, host_file.lock.
 * Leaves besides: names.lock, stores_lock, tracer.lock, pins.lock; docs/locking.md has all.
 * A file's own locks nest inside drain_lock (release) and host_file.lock (poll) alone.
 */
#ifndef HOST_HOST_PRIV_H
#define HOST_HOST_PRIV_H

#include <limits.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <urcu/list.h>

#include "base/lock.h"
#include "core/system.h"
#include "host/host.h"
#include "host/names.h"
#include "mem/task.h"

/* ---- the notification descriptor ---- */

/* Not in the headers of older distributions. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* An answer that is not a result: let the kernel do it. */
#define CALL_NATIVE LONG_MIN

/* ---- files ---- */

struct close_watch;
struct call;

/**
 * struct host_file - our side of an open file: the native object the program's descriptors
 * refer to.  Freed when the file is released.
 * @file: counted once for the program's descriptors until they are all closed
 * @name: the device node or attribute opened, counted; NULL for files made by commands
 * @dev, @ino: identity of the native object; immutable, as @mnt is, the mount it lies on
 * @tid: whose fail-nth it is; proc_file.c
 */
struct host_file {
	struct host *host;
	struct file *file;
	struct host_name *name;
	u64 dev, ino, mnt;
	u64 serial;                /* never reused, unlike an address */
	struct cds_list_head by_ino;  /* under fdtable.lock */
	struct cds_list_head by_wd;   /* likewise */
	struct close_watch *watch; /* tells the last close */
	int wd;
	struct mutex lock;
	int native;                /* the object until a program has it, or -1 */
	int event_fd;              /* event objects: the pipe once more, or -1; reads and writes */
	int memory_fd;             /* the object once more, of files that can be mapped, or -1 */
	struct cds_list_head maps; /* maps.c; under fdtable.lock */
	u64 pos __guarded_by(&lock);    /* of seekable files */
	u64 stored __guarded_by(&lock); /* attributes: size of the object when it was looked at */
};

#define FDTABLE_BUCKETS 1024

struct fdtable {
	struct mutex drain_lock; /* held over releases, so that nobody overtakes one */
	struct mutex lock;
	struct cds_list_head inos[FDTABLE_BUCKETS] __guarded_by(&lock);
	struct cds_list_head wds[FDTABLE_BUCKETS] __guarded_by(&lock);
	struct cds_list_head watches __guarded_by(&lock);
	struct cds_list_head reserved __guarded_by(&lock); /* numbers promised to commands */
	u64 serial __guarded_by(&lock);
	u32 count __guarded_by(&lock);
	u32 watch_room;          /* watches per inotify instance */
	int epoll;               /* of watches; only waited on under drain_lock */
	int idle;                /* the same again, for who sleeps until something is closed */
	int high_base, high_end; /* descriptors of files made by commands: [base, end) */
};

/* ---- callers ---- */

/**
 * struct target - a thread of the program, cached by its id
 * @dir: /proc/TID, which stops working when the thread ends: an id used again is noticed
 * @exec_seen: it asked for an exec, so its mm must be compared at each call
 */
struct target {
	struct cds_list_head node; /* targets.all, under targets.lock */
	struct cds_list_head by_tid; /* targets.tids, likewise */
	u32 refs;                  /* under targets.lock */
	bool cached;               /* likewise */
	pid_t tid, tgid;
	int dir;
	int fd_dir;                /* its fd */
	_Atomic u64 info;          /* fdinfo.c; taken by who uses it */
	struct mm *mm;
	struct mem_user *user;
	bool exec_seen;            /* under targets.lock */
	bool cred_seen;            /* likewise: it may have changed its uid */
};

#define TARGET_BUCKETS 256

struct targets {
	struct mutex lock;
	struct cds_list_head all __guarded_by(&lock); /* most recent first */
	struct cds_list_head tids[TARGET_BUCKETS] __guarded_by(&lock);
	struct cds_list_head mms __guarded_by(&lock); /* address spaces that are not gone */
	u32 count __guarded_by(&lock);
	u32 max;                     /* as descriptors allow; immutable */
	u32 look_at __guarded_by(&lock); /* so many: look who is gone */
	struct cds_list_head faults __guarded_by(&lock); /* fail-nth of threads */
	_Atomic u32 num_faults;
};

/* ---- the tree ---- */

struct serve;
struct tracer;

struct host {
	const struct host_opts *opts;
	struct iommufd_system *system;
	struct mem_space *space; /* of the system */
	int listener;
	_Atomic u32 answered;   /* calls; notify.c */
	size_t notif_size, resp_size;
	bool namespaces;        /* the nodes exist in the program's /dev */
	u32 covers;             /* which covers stand, a bit each */
	struct names names;     /* what the program finds of the system's tree */
	u64 proc_dev;           /* our /proc */
	pid_t program;
	struct fdtable fds;
	struct targets targets;
	struct serve *serve;
	struct tracer *tracer;  /* mmio/tracer.h */
	struct mutex trace_lock;
	_Atomic u32 stores;     /* writes to attributes under way, attr_file.c */
	struct mutex stores_lock;
	pthread_cond_t stores_done; /* with stores_lock */
	struct cds_list_head storing __guarded_by(&stores_lock);
};

#define host_log(host, level, ...) log_line(&(host)->opts->log, level, __VA_ARGS__)

/*
 * _IOW(KVMIO, 0xe1, struct kvm_device_attr): QEMU tells KVM of our files, which it does not know.
 */
#define IOCTL_KVM_SET_DEVICE_ATTR 0x4018aee1u

/* Arguments of commands are read in one go and then served from here. */
#define CALL_PREFETCH 256

struct call {
	struct task task;
	struct host *host;
	struct target *target;  /* NULL until somebody needs it */
	struct task *previous;  /* while entered */
	const struct seccomp_notif *req;
	u64 checked_at;         /* the notification was valid then; 0: not looked yet */
	u64 prefetch_at;
	u32 prefetch_len;
	u8 prefetch[CALL_PREFETCH];
};

/* notify.c */
int notify_recv(struct host *host, struct seccomp_notif *req);
int notify_send(struct host *host, u64 id, long result);
bool notify_valid(struct host *host, u64 id);
/** notify_addfd() - give the caller a descriptor, @newfd -1: the lowest free; its number, -errno */
int notify_addfd(struct host *host, u64 id, int srcfd, int newfd, int open_flags);

/* filter.c */
struct sock_fprog;
int filter_build(int high_base, bool paths, struct sock_fprog *ret_prog);
void filter_free(struct sock_fprog *prog);

/* serve.c */
int serve_start(struct host *host);
void serve_stop(struct host *host);

/* call.c */
void call_serve(struct host *host, const struct seccomp_notif *req);
/** call_enter() - become the calling thread for the core; 0 or -errno, call_leave() on success */
int call_enter(struct call *call);
void call_leave(struct call *call);
/** call_check() - is the caller still in its call? 0 or -EFAULT; to be asked after reading */
int call_check(struct call *call);
/** call_path() - read a path argument; bytes without the NUL, -EFAULT, -ENAMETOOLONG */
ssize_t call_path(struct call *call, u64 uaddr, char path[PATH_MAX]);

/* target.c */
void targets_init(struct targets *targets);
void targets_fini(struct targets *targets);
/** target_get() - what is known of the thread @tid; NULL if it is gone or memory is short */
struct target *target_get(struct host *host, pid_t tid);
/** target_peek() - the same if cached, and maybe about an earlier thread of that id */
struct target *target_peek(struct host *host, pid_t tid);
void target_put(struct host *host, struct target *target);
/** target_forget() - the thread behind the id is another one now */
void target_forget(struct host *host, struct target *target);
bool target_alive(const struct target *target);
void target_saw_exec(struct host *host, pid_t tid);
void target_saw_cred(struct host *host, pid_t tid);
/** target_mm_of() - the mm of process @pid if we know it, counted */
struct mm *target_mm_of(struct host *host, pid_t pid);
struct fault_state *target_fault(struct host *host, pid_t tid, bool create);
/** proc_state() - of the thread whose /proc/TID/stat is @path, in Linux's letters; 0: it is gone */
char proc_state(const char *path);
/** read_task_ids() - of the thread whose /proc/TID is @dir; 0, -ESRCH, -ENOMEM */
int read_task_ids(int dir, pid_t *ret_tgid, uid_t *ret_uid);

/* task_ops.c; memory of the caller without fault points: for answers of the way in itself */
extern const struct task_ops host_task_ops;
int call_read(struct call *call, void *dst, u64 uaddr, size_t len);
int call_write(struct call *call, u64 uaddr, const void *src, size_t len);

/** call_steal_fd() - a copy of the caller's descriptor in this process; -EBADF, -EMFILE */
int call_steal_fd(struct call *call, int fd);

/* fdinfo.c */
/** fdinfo_mount() - the mount the object behind our @fd lies on; 0 if the kernel does not say */
u64 fdinfo_mount(int fd);
/**
 * fdinfo_ask() - the inode behind @fd of the thread, if it is asked for often; false: ask otherwise
 */
bool fdinfo_ask(struct target *target, int fd, u64 *ret_mnt, u64 *ret_ino);
void fdinfo_forget(struct target *target);

/* fdtable.c */
void fdtable_high_range(int *ret_base, int *ret_end);
int fdtable_init(struct host *host);
void fdtable_fini(struct host *host);
/** fdtable_open() - make the native object of @file; takes over @file's reference, always */
int fdtable_open(struct host *host, struct file *file, struct host_name *name,
		 int open_flags, int *ret_fd);
/** fdtable_object() - only that object, for a fdtable_open() to come; 0, -ENOMEM, -ENFILE */
int fdtable_object(struct host *host, struct file *file, struct host_name *name, int open_flags);
/** fdtable_find() - our file behind a native object, counted; NULL if it is none of ours */
struct host_file *fdtable_find(struct host *host, u64 dev, u64 ino);
/** host_map_add() - the program may map [@offset, @offset + @length); 0 or -ENOMEM */
int host_map_add(struct host_file *hf, u64 offset, u64 length, void *cookie);
/** host_map_settle() - file->host_settle: tell the file of mappings that have ended */
void host_map_settle(struct file *file);
/** host_map_end_all() - no descriptor is left, and so no mapping */
void host_map_end_all(struct host_file *hf);
/** host_map_memory() - file->host_memory: the object, to be used as memory here too */
int host_map_memory(struct file *file, bool shrinks, int *ret_fd);
/** fdtable_drain() - release what has been closed; returns when it is released */
void fdtable_drain(struct host *host);
/** fdtable_reserve() - a number above the base that is free in the caller; -EMFILE */
int fdtable_reserve(struct call *call, int *ret_fd);
void fdtable_unreserve(struct call *call, int fd);
/**
 * call_file() - our file behind descriptor @fd of the caller, counted
 * It counts only if call_check() is asked before anything is done.
 * Return: 0, with NULL for a foreign one; -EBADF.
 */
int call_file(struct call *call, int fd, struct host_file **ret_file);
static inline void host_file_put(struct host_file *hf)
{
	file_put(hf->file);
}

/* event_file.c */
int event_file_make(struct host_file *hf, int open_flags, int *ret_fd);
/** event_file_wake() - file->host_wake: the program's end is readable as the file is */
void event_file_wake(struct file *file);

/* path.c */
enum path_kind {
	PATH_OTHER,     /* not ours */
	PATH_NAME,      /* @name, counted: an entry of the tree */
	PATH_DIR,       /* a directory above some; only without namespaces */
	PATH_STATUS,    /* /proc/PID/status; @dir is /proc/PID, open */
	PATH_FAIL_NTH,  /* @pid */
	PATH_DEVICES,   /* /proc/devices */
	PATH_FD,        /* /proc/PID/fd/N of one of our files: @file, counted */
};
struct path_hit {
	enum path_kind kind;
	struct host_name *name;
	pid_t pid;
	int dir;
	struct host_file *file;
};
/** path_resolve() - what @path names for the caller, @follow: also by a link; path_hit_put() it */
void path_resolve(struct call *call, int dirfd, const char *path, bool follow,
		  struct path_hit *ret_hit);
void path_hit_put(struct path_hit *hit);

/* sys_*.c: a result, -errno or CALL_NATIVE */
long sys_open(struct call *call);
long sys_ioctl(struct call *call);
long sys_fstat(struct call *call);
long sys_path_stat(struct call *call);
long sys_readlink(struct call *call);
long sys_read_write(struct call *call);
long sys_mmap(struct call *call);
long sys_dup(struct call *call);
long sys_fcntl(struct call *call);
long sys_exec(struct call *call);
long sys_cred(struct call *call);
long sys_affinity(struct call *call);

/** open_file_send() - answer the call with a descriptor for @file; takes over its reference */
long open_file_send(struct call *call, struct file *file, struct host_name *name,
		    int open_flags);

/**
 * open_file_high() - the same with a number from the high base on, where reads and writes are seen
 */
long open_file_high(struct call *call, struct file *file, struct host_name *name,
		    int open_flags);

/* attr_file.c */
/** attr_open() - answer the open of an attribute, @name */
long attr_open(struct call *call, struct host_name *name, int open_flags);
/** attr_written() - the object behind @hf, an attribute, was written to: store it, elsewhere */
void attr_written(struct host_file *hf);
/** attr_stores_wait() - until what attr_written() began is done, but not for ever */
void attr_stores_wait(struct host *host);

/* proc_file.c */
/** text_open() - answer an open with a read-only file in memory that has @text in it */
long text_open(struct call *call, const char *text, size_t len, int open_flags);
long proc_devices_open(struct call *call, int open_flags);
long proc_status_open(struct call *call, const struct path_hit *hit, int open_flags);
long proc_fail_nth_open(struct call *call, const struct path_hit *hit, int open_flags);

/* trace.c */
struct trace_state {
	u64 started;
	u32 len;          /* bytes of before */
	u8 before[129];   /* an ioctl's struct, or a path */
};
void trace_begin(struct call *call, struct trace_state *state);
/** trace_call() - write the line; before the answer is sent, as the caller must still be there */
void trace_call(struct call *call, const struct trace_state *state, long result);
void trace_release(struct host *host, const char *name);

#endif
