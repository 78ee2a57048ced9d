/* SPDX-License-Identifier: MIT */
/*
 * Every option is one entry of one table, and may be written in three ways:
 * --max-threads=4, --max-threads 4, or -o max_threads=4.  Options of the policy
 * are handed down to it by name.
 *
 * The configuration lies under the options, wherever among them it is named.  So
 * they are read once to find out which one it is, and again over what it says.
 */
#include "mount/options.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "policy/config.h"

const char cvq_mount_usage[] =
	"usage: cvq-mount [options] SOURCE MOUNTPOINT\n"
	"\n"
	"Shows the directory SOURCE at MOUNTPOINT with every FP32 PyTorch checkpoint\n"
	"converted to FP16 while it is read.  Nothing is written.\n"
	"\n"
	"  --dtype fp16|bf16         what FP32 becomes (default fp16)\n"
	"  --overflow inf|clamp      what too large values become (default inf)\n"
	"  --checksum seal|exact|none\n"
	"                            how the archives' CRC-32 are made true (default "
	"seal)\n"
	"  --align source|BYTES      alignment of records, 16 to 65536 (default source)\n"
	"  --convert GLOB            files to convert, in place of *.pt; repeatable\n"
	"  --keep GLOB               files to leave as they are, too; repeatable\n"
	"  --keep-tensor GLOB        tensors to leave in FP32, too; repeatable\n"
	"  --quantize-hift           convert the vocoder (*hift*, *hifigan*) as well\n"
	"  --symlinks auto|follow|keep\n"
	"                            links that leave SOURCE as the files they point to\n"
	"  --timeout SECONDS         how long names and sizes may be cached (default 1)\n"
	"  --check                   refuse what cvq check finds a fault in\n"
	"  --config FILE             the configuration, in place of ~/.config/cvq/cvq.ini\n"
	"                            or /etc/cvq.ini; the options above win over it\n"
	"  -f, --foreground          stay in the foreground\n"
	"  -d, --debug               the same, and print every request\n"
	"  -o OPTION[,OPTION...]     the options above with underscores, and mount "
	"options:\n"
	"                            allow_other, allow_root, default_permissions,\n"
	"                            auto_unmount, nonempty, noexec, fsname=NAME,\n"
	"                            max_threads=N, direct_io, drop_source_cache\n"
	"  -h, --help                print this\n"
	"  -V, --version             print the version\n"
	"\n"
	"example:\n"
	"  cvq-mount original /mnt/quantized     show original in FP16\n"
	"  fusermount3 -u /mnt/quantized         end it\n";

/* ========================================================================== */
/*                                 One option                                 */
/* ========================================================================== */

static cvq_err set_text(char **text, const char *value)
{
	free(*text);
	*text = strdup(value);
	return *text ? 0 : -ENOMEM;
}

static cvq_err set_config(struct cvq_mount_options *options, const char *value,
			  struct cvq_reason *reason)
{
	(void)reason;
	return set_text(&options->config, value);
}

static cvq_err set_fsname(struct cvq_mount_options *options, const char *value,
			  struct cvq_reason *reason)
{
	(void)reason;
	return set_text(&options->fsname, value);
}

static cvq_err set_max_threads(struct cvq_mount_options *options, const char *value,
			       struct cvq_reason *reason)
{
	char *end;
	errno = 0;
	unsigned long count = strtoul(value, &end, 10);
	if (errno || end == value || *end || value[0] == '-' || count < 1 || count > 1024)
		return cvq_explain(reason, -EINVAL,
				   "'%.60s' is no number of threads (use 1 to 1024)",
				   value);
	options->max_threads = (unsigned)count;
	return 0;
}

static cvq_err set_lifeline(struct cvq_mount_options *options, const char *value,
			    struct cvq_reason *reason)
{
	char *end;
	struct stat attributes;
	errno = 0;
	long fd = strtol(value, &end, 10);
	if (errno || end == value || *end || fd <= STDERR_FILENO || fd > INT_MAX ||
	    fstat((int)fd, &attributes) || !S_ISFIFO(attributes.st_mode))
		return cvq_explain(reason, -EINVAL,
				   "'%.60s' is no descriptor of a pipe (leave it to cvq "
				   "run)",
				   value);
	options->lifeline = (int)fd;
	return 0;
}

#define FLAG(member) offsetof(struct cvq_mount_options, member)

/* Either a flag to raise, or a function that takes the value. */
static const struct own_option {
	const char *name;
	char letter;
	size_t flag;
	cvq_err (*set)(struct cvq_mount_options *options, const char *value,
		       struct cvq_reason *reason);
} own_options[] = {
	{"help", 'h', FLAG(help), NULL},
	{"version", 'V', FLAG(version), NULL},
	{"foreground", 'f', FLAG(foreground), NULL},
	{"debug", 'd', FLAG(debug), NULL},
	{"allow-other", 0, FLAG(allow_other), NULL},
	{"allow-root", 0, FLAG(allow_root), NULL},
	{"default-permissions", 0, FLAG(default_permissions), NULL},
	{"auto-unmount", 0, FLAG(auto_unmount), NULL},
	{"nonempty", 0, FLAG(nonempty), NULL},
	{"noexec", 0, FLAG(noexec), NULL},
	{"direct-io", 0, FLAG(direct_io), NULL},
	{"drop-source-cache", 0, FLAG(drop_source_cache), NULL},
	{"check", 0, FLAG(check), NULL},
	{"config", 0, 0, set_config},
	{"fsname", 0, 0, set_fsname},
	{"max-threads", 0, 0, set_max_threads},
	{"lifeline", 0, 0, set_lifeline},
	{"remove-mountpoint", 0, FLAG(remove_mountpoint), NULL},
};

/*
 * What mount(8), fstab and systemd may say to any file system.  None of it changes
 * a view: it is always read-only, without devices and without set-user-id programs.
 */
static const char *const ignored_options[] = {
	"ro",        "rw",         "defaults",    "auto",          "noauto",   "user",
	"nouser",    "users",      "owner",       "group",         "nofail",   "_netdev",
	"dev",       "nodev",      "suid",        "nosuid",        "exec",     "sync",
	"async",     "dirsync",    "atime",       "noatime",       "diratime", "nodiratime",
	"relatime",  "norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime",
	"iversion",  "noiversion", "mand",        "nomand",        "silent",   "loud",
	"symfollow", "subtype",    "comment",
};

static bool is_ignored(const char *name)
{
	if (strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0)
		return true;
	for (size_t i = 0; i < sizeof(ignored_options) / sizeof(*ignored_options); i++)
		if (strcmp(name, ignored_options[i]) == 0)
			return true;
	return false;
}

static const struct own_option *find_own(const char *name, char letter)
{
	for (size_t i = 0; i < sizeof(own_options) / sizeof(*own_options); i++)
		if (name ? cvq_policy_same_name(own_options[i].name, name)
			 : own_options[i].letter == letter)
			return &own_options[i];
	return NULL;
}

/* Whether 'name' is an option of ours or of the policy, and takes a value. */
static bool is_known(const char *name, bool *takes_value)
{
	const struct own_option *own = find_own(name, 0);
	if (!own)
		return cvq_policy_has_option(name, takes_value);
	*takes_value = own->set != NULL;
	return true;
}

static cvq_err apply_own(struct cvq_mount_options *options, const struct own_option *own,
			 const char *value, struct cvq_reason *reason)
{
	if (own->set && (!value || !*value))
		return cvq_explain(reason, -EINVAL, "a value is missing (use %s=VALUE)",
				   own->name);
	if (!own->set && value)
		return cvq_explain(reason, -EINVAL, "it takes no value (use %s alone)",
				   own->name);
	if (own->set)
		return own->set(options, value, reason);
	*(bool *)((char *)options + own->flag) = true;
	return 0;
}

/* 'spelling' is how the user wrote the option, for the message. */
static cvq_err apply(struct cvq_mount_options *options, const char *spelling,
		     const char *name, const char *value, struct cvq_reason *reason)
{
	struct cvq_reason detail = {""};
	const struct own_option *own = find_own(name, 0);
	cvq_err err = own ? apply_own(options, own, value, &detail)
			  : cvq_policy_set(&options->policy, name, value, &detail);
	if (err == -ENOENT)
		return cvq_explain(reason, -EINVAL,
				   "%.80s: there is no such option (see cvq-mount --help)",
				   spelling);
	if (err == -EINVAL)
		return cvq_explain(reason, err, "%.40s: %s", spelling, detail.text);
	return err;
}

/* ========================================================================== */
/*                              The command line                              */
/* ========================================================================== */

/* The arguments, and how far they are read. */
struct arguments {
	char *const *left;
	struct cvq_mount_options *options;
	struct cvq_reason *reason;
};

/* Takes one item off a list with commas, in place; a backslash takes the next as it is. */
static char *next_item(char **list)
{
	char *item = *list;
	char *to = item;
	char *from = item;

	for (; *from && *from != ','; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*list = *from ? from + 1 : from;
	*to = '\0';
	return item;
}

/* -o NAME[=VALUE][,NAME[=VALUE]...] */
static cvq_err parse_list(struct arguments *arguments, const char *list)
{
	cleanup_free char *copy = strdup(list);
	if (!copy)
		return -ENOMEM;
	for (char *rest = copy; *rest;) {
		char *name = next_item(&rest);
		char *value = strchr(name, '=');
		if (value)
			*value++ = '\0';
		if (!*name || is_ignored(name))
			continue;
		cvq_err err =
			apply(arguments->options, name, name, value, arguments->reason);
		if (err)
			return err;
	}
	return 0;
}

/* The value that is the next argument, if there is one. */
static const char *next_value(struct arguments *arguments)
{
	return *arguments->left ? *arguments->left++ : NULL;
}

/* --NAME, --NAME=VALUE or --NAME VALUE */
static cvq_err parse_long(struct arguments *arguments, const char *argument)
{
	cleanup_free char *name = strdup(argument + 2);
	if (!name)
		return -ENOMEM;
	const char *value = NULL;
	char *equals = strchr(name, '=');
	bool takes_value;
	if (equals) {
		*equals = '\0';
		value = equals + 1;
	} else if (is_known(name, &takes_value) && takes_value) {
		value = next_value(arguments);
	}
	cleanup_free char *spelling = strndup(argument, strlen(name) + 2);
	if (!spelling)
		return -ENOMEM;
	return apply(arguments->options, spelling, name, value, arguments->reason);
}

/* -fd, -oLIST or -o LIST */
static cvq_err parse_short(struct arguments *arguments, const char *argument)
{
	for (const char *letter = argument + 1; *letter; letter++) {
		if (*letter == 'o') {
			const char *list = letter[1] ? letter + 1 : next_value(arguments);
			if (!list)
				return cvq_explain(arguments->reason, -EINVAL,
						   "-o: a value is missing (use -o "
						   "OPTION[,OPTION...])");
			return parse_list(arguments, list);
		}
		const struct own_option *own = find_own(NULL, *letter);
		if (!own)
			return cvq_explain(
				arguments->reason, -EINVAL,
				"-%c: there is no such option (see cvq-mount --help)",
				*letter);
		cvq_err err = apply_own(arguments->options, own, NULL, arguments->reason);
		if (err)
			return err;
	}
	return 0;
}

static cvq_err parse_positional(struct arguments *arguments, const char *argument)
{
	struct cvq_mount_options *options = arguments->options;
	if (!options->source)
		options->source = argument;
	else if (!options->mountpoint)
		options->mountpoint = argument;
	else
		return cvq_explain(arguments->reason, -EINVAL,
				   "%.80s: there is one argument too many (use cvq-mount "
				   "[options] SOURCE MOUNTPOINT)",
				   argument);
	return 0;
}

static cvq_err parse_all(struct arguments *arguments)
{
	bool options_over = false;

	while (*arguments->left) {
		const char *argument = *arguments->left++;
		cvq_err err = 0;
		if (options_over || argument[0] != '-' || !argument[1])
			err = parse_positional(arguments, argument);
		else if (argument[1] != '-')
			err = parse_short(arguments, argument);
		else if (argument[2])
			err = parse_long(arguments, argument);
		else
			options_over = true;
		if (err)
			return err;
	}
	return 0;
}

static cvq_err check_words(const struct cvq_mount_options *options,
			   struct cvq_reason *reason)
{
	if (!options->mountpoint)
		return cvq_explain(reason, -EINVAL,
				   "%s is missing (use cvq-mount [options] SOURCE "
				   "MOUNTPOINT, or see cvq-mount --help)",
				   options->source ? "MOUNTPOINT" : "SOURCE");
	if (options->allow_other && options->allow_root)
		return cvq_explain(reason, -EINVAL,
				   "allow_root: it contradicts allow_other (use one of "
				   "them)");
	return 0;
}

/* ========================================================================== */
/*                              The configuration                             */
/* ========================================================================== */

static cvq_err set_defaults(struct cvq_mount_options *options)
{
	*options = (struct cvq_mount_options){.lifeline = -1};
	return cvq_policy_init(&options->policy);
}

cvq_err cvq_mount_options_parse(struct cvq_mount_options *options, int argc,
				char *const argv[], char **place, struct cvq_reason *reason)
{
	struct arguments arguments = {
		.left = argv + (argc > 0), .options = options, .reason = reason};
	const struct arguments again = arguments;

	*place = NULL;
	cvq_err err = set_defaults(options);
	err = err ? err : parse_all(&arguments);
	if (err || options->help || options->version)
		return err;
	err = check_words(options, reason);
	cleanup_free char *config = steal_pointer(options->config);
	if (!err && !config)
		err = cvq_config_find(&config);
	if (err || !config)
		return err;

	cvq_mount_options_release(options);
	arguments = again;
	err = set_defaults(options);
	err = err ? err : cvq_config_load(&options->policy, config, place, reason);
	err = err ? err : parse_all(&arguments);
	if (err)
		return err;
	free(options->config);
	options->config = realpath(config, NULL);
	if (!options->config)
		options->config = steal_pointer(config);
	return 0;
}

void cvq_mount_options_release(struct cvq_mount_options *options)
{
	cvq_policy_release(&options->policy);
	free(options->config);
	free(options->fsname);
}
