/* SPDX-License-Identifier: MIT */
/*
 * What is mounted where, and unmounting it and no other
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mountinfo.h"
#include "base/unmount.h"
#include "fixture.h"

static char folder[] = "/tmp/cvq-test-mounted-XXXXXX";
static char place[sizeof(folder) + 8];
static char inner[sizeof(place) + 8];
static bool may_mount;

/* Everything is mounted in a namespace of ours, which ends with this process. */
static int set_up(void **state)
{
	(void)state;
	may_mount = unshare(CLONE_NEWNS) == 0;
	if (!may_mount)
		return 0;
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(mount("none", folder, "tmpfs", 0, NULL), 0);
	snprintf(place, sizeof(place), "%s/place", folder);
	snprintf(inner, sizeof(inner), "%s/inner", place);
	assert_int_equal(mkdir(place, 0755) || mkdir(inner, 0755), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return may_mount && (umount2(folder, MNT_DETACH) || rmdir(folder));
}

static void need_root(void)
{
	if (!may_mount)
		skip();
}

/* Mounts a new file system there, and returns its device. */
static dev_t mount_at(const char *path)
{
	struct stat root;
	assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	assert_int_equal(stat(path, &root), 0);
	return root.st_dev;
}

static void assert_mounted(const char *path, dev_t device)
{
	struct cvq_mounted mounted;
	assert_int_equal(cvq_mounted_at(path, &mounted), 0);
	assert_int_equal(mounted.device, device);
	assert_string_equal(mounted.type, "tmpfs");
}

static void assert_not_mounted(const char *path)
{
	struct cvq_mounted mounted;
	assert_int_equal(cvq_mounted_at(path, &mounted), -ENOENT);
}

static void the_topmost_is_found(void **state)
{
	(void)state;
	need_root();
	assert_not_mounted(inner);
	assert_not_mounted("/tmp/none");
	dev_t first = mount_at(inner);
	assert_mounted(inner, first);
	dev_t second = mount_at(inner);
	assert_mounted(inner, second);
	assert_int_equal(umount(inner), 0);
	assert_mounted(inner, first);
	assert_int_equal(umount(inner), 0);
	assert_not_mounted(inner);
}

/* With what is mounted above it, another folder is at its path. */
static void the_hidden_is_not_found(void **state)
{
	(void)state;
	need_root();
	dev_t hidden = mount_at(inner);
	mount_at(place);
	assert_not_mounted(inner);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_not_mounted(inner);
	assert_int_equal(umount(place), 0);
	assert_mounted(inner, hidden);
	assert_int_equal(umount(inner), 0);
}

static void what_is_held_is_unmounted(void **state)
{
	(void)state;
	need_root();
	struct cvq_mounted mounted;
	dev_t below = mount_at(inner);
	mount_at(inner);
	int root = cvq_mounted_hold(inner, &mounted);
	assert_true(root >= 0);
	assert_int_equal(cvq_mounted_id(root), mounted.id);
	assert_int_equal(cvq_unmount(root, inner), 0);
	assert_mounted(inner, below);
	close(root);
	assert_int_equal(umount(inner), 0);
}

static void what_took_its_place_stays(void **state)
{
	(void)state;
	need_root();
	struct cvq_mounted mounted;
	mount_at(inner);
	int root = cvq_mounted_hold(inner, &mounted);
	assert_true(root >= 0);
	assert_int_equal(umount2(inner, MNT_DETACH), 0);
	dev_t later = mount_at(inner);
	assert_int_equal(cvq_unmount(root, inner), 0);
	assert_mounted(inner, later);
	close(root);
	assert_int_equal(umount(inner), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_topmost_is_found),
		cmocka_unit_test(the_hidden_is_not_found),
		cmocka_unit_test(what_is_held_is_unmounted),
		cmocka_unit_test(what_took_its_place_stays),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
