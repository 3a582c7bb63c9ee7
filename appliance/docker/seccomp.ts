/**
 * What programs in a sandbox may ask of the kernel: a list of what Node and Python need, everything else is refused. The engine takes
 * the profile's text, not a path. Stricter than the engine's own, which allows what a container with a system in it may want:
 * no namespaces, mounts, tracing, keys, io_uring, memory files (they would run what the noexec /tmp may not), and of sockets only
 * streams and datagrams between programs and over IP, and the list of interfaces.
 */

const files =
  "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate fchdir fchmod " +
  "fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fstat fstatfs fsync ftruncate futimesat getcwd getdents " +
  "getdents64 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr " +
  "llistxattr lseek lstat mkdir mkdirat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead " +
  "readlink readlinkat readv rename renameat renameat2 rmdir sendfile splice stat statfs statx symlink symlinkat sync sync_file_range " +
  "tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev";

const memory =
  "brk get_mempolicy madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock " +
  "munlockall munmap pkey_alloc pkey_free pkey_mprotect";

const processes =
  "capget execve execveat exit exit_group fork vfork getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority " +
  "getresgid getresuid getrlimit getrusage getsid gettid getuid kill pidfd_open pidfd_send_signal prctl prlimit64 " +
  "rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_setaffinity " +
  "sched_yield set_robust_list get_robust_list set_tid_address setpgid setpriority setrlimit setsid tgkill times tkill wait4 waitid";

const signalsAndTime =
  "alarm clock_getres clock_gettime clock_nanosleep eventfd eventfd2 futex futex_waitv futex_wait futex_wake futex_requeue getitimer " +
  "gettimeofday nanosleep pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend " +
  "rt_sigtimedwait rt_tgsigqueueinfo setitimer sigaltstack signalfd signalfd4 time timer_create timer_delete timer_getoverrun " +
  "timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime";

const waitingAndTalking =
  "accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait getpeername getsockname " +
  "getsockopt listen pipe pipe2 poll ppoll pselect6 recvfrom recvmmsg recvmsg select sendmmsg sendmsg sendto setsockopt shutdown socketpair";

const system =
  "arch_prctl getcpu getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self riscv_hwprobe seccomp sysinfo uname";

/** Of clone: every kind of namespace. */
const namespaceFlags = 0x7e020000;
const enosys = 38;
const stream = 1;
const datagram = 2;
/** Flags of a socket's type that say nothing about what it is: close on exec, do not block. */
const kindMask = 0xf;
const local = 1;
const inet = 2;
const inet6 = 10;
const netlink = 16;
const routing = 0;

/** The profile as the text that the engine wants. */
export function seccompProfile(): string {
  const allowed = [files, memory, processes, signalsAndTime, waitingAndTalking, system].flatMap((words) => words.split(" "));
  const allow = "SCMP_ACT_ALLOW";
  const isKind = (kind: number) => ({ index: 1, value: kindMask, valueTwo: kind, op: "SCMP_CMP_MASKED_EQ" });
  const isFamily = (family: number) => ({ index: 0, value: family, op: "SCMP_CMP_EQ" });
  return JSON.stringify({
    defaultAction: "SCMP_ACT_ERRNO",
    archMap: [
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: [] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: [] },
    ],
    syscalls: [
      { names: allowed, action: allow },
      ...[local, inet, inet6].flatMap((family) =>
        [stream, datagram].map((kind) => ({ names: ["socket"], action: allow, args: [isFamily(family), isKind(kind)] })),
      ),
      // What lists the network's interfaces, of which there is only the loopback one; many programs ask, and fail when they may not.
      { names: ["socket"], action: allow, args: [isFamily(netlink), { index: 2, value: routing, op: "SCMP_CMP_EQ" }] },
      // Threads and processes, but no namespace of one's own.
      { names: ["clone"], action: allow, args: [{ index: 0, value: namespaceFlags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }] },
      // Its flags are behind a pointer, so it cannot be looked at; who is told that it does not exist uses clone.
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: enosys },
    ],
  });
}
