/* SPDX-License-Identifier: MIT */
#include "control/control.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int control_dir(char buf[CONTROL_PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (runtime && *runtime == '/')
		n = snprintf(buf, CONTROL_PATH_MAX, "%s/uiommufd", runtime);
	else
		n = snprintf(buf, CONTROL_PATH_MAX, "/tmp/uiommufd-%u", (unsigned int)geteuid());
	return n < CONTROL_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int control_dir_make(const char *dir)
{
	struct stat st;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	/* In /tmp anybody may have been first. */
	if (lstat(dir, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return -EPERM;
	return 0;
}

int control_path(char buf[CONTROL_PATH_MAX], pid_t pid)
{
	char dir[CONTROL_PATH_MAX];
	int rc;

	rc = control_dir(dir);
	if (rc)
		return rc;
	rc = snprintf(buf, CONTROL_PATH_MAX, "%s/%d.sock", dir, (int)pid);
	return rc < CONTROL_PATH_MAX ? 0 : -ENAMETOOLONG;
}
