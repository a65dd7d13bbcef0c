/* SPDX-License-Identifier: MIT */
/* The tree's entries as the program meets them: the table of names.h. */
#include "host/names.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/covers.h"
#include "host/host_priv.h"

#define LINKS_MAX 40
#define MISC_MAJOR 10

static u32 text_hash(const char *text, size_t len)
{
	u32 hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (u8)text[i]) * 16777619u;
	return hash;
}

static struct cds_list_head *names_path_bucket(struct names *names, const char *path, size_t len)
{
	return &names->paths[text_hash(path, len) % NAMES_BUCKETS];
}

static struct cds_list_head *names_last_bucket(struct names *names, const char *last)
{
	return &names->lasts[text_hash(last, strlen(last)) % NAMES_BUCKETS];
}

static struct cds_list_head *names_ino_bucket(struct names *names, u64 ino)
{
	return &names->inos[ino % NAMES_BUCKETS];
}

struct host_name *host_name_get(struct host_name *name)
{
	atomic_fetch_add_explicit(&name->refs, 1, memory_order_relaxed);
	return name;
}

void host_name_put(struct host_name *name)
{
	/* acq_rel: whoever frees sees what the other holders did */
	if (!name || atomic_fetch_sub_explicit(&name->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(name->target);
	free(name);
}

/* ---- look-ups ---- */

bool names_maybe(struct names *names, const char *last)
{
	struct host_name *name;
	bool found = false;

	mutex_lock(&names->lock);
	cds_list_for_each_entry (name, names_last_bucket(names, last), by_last) {
		found = !strcmp(name->last, last);
		if (found)
			break;
	}
	mutex_unlock(&names->lock);
	return found;
}

unsigned int names_major(struct names *names, const char *dir)
{
	size_t len = strlen(dir);
	unsigned int found = 0;
	struct host_name *name;

	mutex_lock(&names->lock);
	for (size_t i = 0; i < NAMES_BUCKETS && !found; i++) {
		cds_list_for_each_entry(name, &names->paths[i], by_path) {
			/* The misc class has its own line. */
			if (name->kind == TREE_NODE && !strncmp(name->path, dir, len) &&
			    name->last == name->path + len && major(name->st.st_rdev) != MISC_MAJOR)
				found = major(name->st.st_rdev);
		}
	}
	mutex_unlock(&names->lock);
	return found;
}

struct host_name *names_find_ino(struct names *names, u64 dev, u64 ino)
{
	struct host_name *name, *found = NULL;

	mutex_lock(&names->lock);
	cds_list_for_each_entry (name, names_ino_bucket(names, ino), by_ino) {
		if (name->ino == ino && name->dev == dev) {
			found = host_name_get(name);
			break;
		}
	}
	mutex_unlock(&names->lock);
	return found;
}

static struct host_name *names_find_text(struct names *names, const char *path, size_t len)
	__must_hold(&names->lock)
{
	struct host_name *name;

	cds_list_for_each_entry (name, names_path_bucket(names, path, len), by_path) {
		if (!strncmp(name->path, path, len) && !name->path[len])
			return name;
	}
	return NULL;
}

/* Is there an entry below the directory @path? */
static bool names_has_below(struct names *names, const char *path, size_t len)
	__must_hold(&names->lock)
{
	struct host_name *name;

	for (size_t i = 0; i < NAMES_BUCKETS; i++) {
		cds_list_for_each_entry (name, &names->paths[i], by_path) {
			if (!strncmp(name->path, path, len) && name->path[len] == '/')
				return true;
		}
	}
	return false;
}

/* Put the text of @link in the place of what was walked: @out[0..len) and the rest of the way. */
static bool path_splice(char *out, size_t *len, char rest[PATH_MAX], const char *next,
			const char *target)
{
	char text[PATH_MAX];
	int n = snprintf(text, sizeof(text), "%s%s%s", target, *next ? "/" : "", next);

	if (n >= PATH_MAX)
		return false;
	memcpy(rest, text, n + 1);
	if (*target == '/')
		*len = 0;
	else
		while (*len && out[--*len] != '/')
			;
	return true;
}

/* Walk @rest from the root, following the tree's links; what it means is left in @out. */
static struct host_name *names_walk(struct names *names, char rest[PATH_MAX], bool follow,
				    char out[PATH_MAX], size_t *ret_len) __must_hold(&names->lock)
{
	struct host_name *name = NULL;
	unsigned int links = 0;
	const char *p = rest;
	size_t len = 0, n;

	for (;;) {
		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (!n)
			break;
		if (n == 2 && !strncmp(p, "..", 2)) {
			while (len && out[--len] != '/')
				;
		} else if (n > 1 || *p != '.') {
			if (len + n + 2 > PATH_MAX)
				return NULL;
			out[len++] = '/';
			memcpy(out + len, p, n);
			len += n;
		}
		p += n;
		p += strspn(p, "/");
		name = names_find_text(names, out, len);
		if (name && name->kind == TREE_LINK && (*p || follow)) {
			if (++links > LINKS_MAX || !path_splice(out, &len, rest, p, name->target))
				return NULL;
			p = rest;
			name = NULL;
		}
	}
	*ret_len = len;
	return name;
}

struct host_name *names_find_path(struct names *names, const char *path, bool follow, bool *ret_dir)
{
	char rest[PATH_MAX], out[PATH_MAX];
	struct host_name *name;
	size_t len = 0;

	*ret_dir = false;
	if (snprintf(rest, sizeof(rest), "%s", path) >= PATH_MAX)
		return NULL;
	mutex_lock(&names->lock);
	name = names_walk(names, rest, follow, out, &len);
	if (name)
		host_name_get(name);
	else if (len)
		*ret_dir = names_has_below(names, out, len);
	mutex_unlock(&names->lock);
	return name;
}

/* ---- coming and going ---- */

static struct host_name *host_name_create(const struct tree_entry *entry)
{
	struct host_name *name;
	size_t len = strlen(entry->path);

	name = zalloc(sizeof(*name) + len + 1);
	if (!name)
		return NULL;
	atomic_init(&name->refs, 1);
	name->kind = entry->kind;
	name->mode = entry->mode;
	name->served =
		entry->kind == TREE_NODE ||
		(entry->kind == TREE_ATTR && !(entry->constant && entry->show && !entry->store));
	name->binary = entry->read_at || entry->write_at;
	memcpy(name->path, entry->path, len + 1);
	name->last = strrchr(name->path, '/') + 1;
	if (entry->kind == TREE_LINK) {
		name->target = strdup(entry->target);
		if (!name->target) {
			free(name);
			return NULL;
		}
	}
	return name;
}

/* What stat() shows of an entry: of its file where there is one, else made up. */
static void name_stat(struct names *names, struct host_name *name, const struct tree_entry *entry)
{
	static const mode_t types[] = {
		[TREE_NODE] = S_IFCHR,
		[TREE_ATTR] = S_IFREG,
		[TREE_LINK] = S_IFLNK,
		[TREE_DIR] = S_IFDIR,
	};
	struct stat *st = &name->st;

	if (!name->ino) {
		if (stat("/dev", st))
			*st = (struct stat){.st_blksize = PAGE_SIZE};
		/* A number no other entry has. */
		mutex_lock(&names->lock);
		st->st_ino = 0x3b0000 + names->serial++;
		mutex_unlock(&names->lock);
		st->st_uid = getuid();
		st->st_gid = getgid();
		st->st_size = name->kind != TREE_ATTR ? 0
			      : entry->size	      ? (off_t)entry->size
						      : TREE_TEXT_MAX;
		st->st_blocks = 0;
		st->st_nlink = 1;
	}
	st->st_mode = types[name->kind] | (name->kind == TREE_LINK ? 0777 : name->mode);
	st->st_rdev = name->kind == TREE_NODE ? makedev(entry->major, entry->minor) : 0;
}

static void names_insert(struct names *names, struct host_name *name)
{
	mutex_lock(&names->lock);
	cds_list_add(&name->by_path, names_path_bucket(names, name->path, strlen(name->path)));
	/* Only these are asked for by their last component. */
	if (name->kind == TREE_NODE || name->kind == TREE_ATTR ||
	    (name->kind == TREE_LINK && !strncmp(name->path, "/dev/", 5)))
		cds_list_add(&name->by_last, names_last_bucket(names, name->last));
	else
		CDS_INIT_LIST_HEAD(&name->by_last);
	if (name->ino)
		cds_list_add(&name->by_ino, names_ino_bucket(names, name->ino));
	else
		CDS_INIT_LIST_HEAD(&name->by_ino);
	mutex_unlock(&names->lock);
}

static void names_added(struct tree_watcher *watcher, const struct tree_entry *entry)
{
	struct names *names = container_of(watcher, struct names, watcher);
	struct host_name *name = host_name_create(entry);
	int rc;

	if (!name) {
		host_log(names->host, IOMMUFD_LOG_ERROR, "%s is not shown: no memory", entry->path);
		return;
	}
	if (names->host->namespaces) {
		rc = cover_add(names, name, entry);
		if (rc)
			host_log(names->host, IOMMUFD_LOG_WARN, "%s cannot be shown: %s",
				 entry->path, strerror(-rc));
	}
	name_stat(names, name, entry);
	names_insert(names, name);
}

static void names_removed(struct tree_watcher *watcher, const struct tree_entry *entry)
{
	struct names *names = container_of(watcher, struct names, watcher);
	struct host_name *name;

	mutex_lock(&names->lock);
	name = names_find_text(names, entry->path, strlen(entry->path));
	if (name) {
		cds_list_del(&name->by_path);
		cds_list_del(&name->by_last);
		cds_list_del(&name->by_ino);
	}
	mutex_unlock(&names->lock);
	if (!name)
		return;
	if (name->ino)
		cover_remove(names, name);
	host_name_put(name);
}

int names_start(struct host *host, struct tree *tree)
{
	struct names *names = &host->names;
	int rc;

	names->host = host;
	mutex_init(&names->lock);
	for (size_t i = 0; i < NAMES_BUCKETS; i++) {
		CDS_INIT_LIST_HEAD(&names->paths[i]);
		CDS_INIT_LIST_HEAD(&names->lasts[i]);
		CDS_INIT_LIST_HEAD(&names->inos[i]);
	}
	rc = covers_open(names);
	if (rc)
		return rc;
	names->watcher = (struct tree_watcher){names_added, names_removed};
	tree_watch(tree, &names->watcher);
	return 0;
}

void names_fini(struct names *names)
{
	struct host_name *name, *next;

	for (size_t i = 0; i < NAMES_BUCKETS; i++) {
		cds_list_for_each_entry_safe (name, next, &names->paths[i], by_path)
			host_name_put(name);
	}
	covers_close(names);
	mutex_destroy(&names->lock);
}
