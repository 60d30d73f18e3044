/* What runs static Linux programs in an emulated machine without an operating
 * system: one processor, one thread, the system calls that the C library and
 * the kernel tests use.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Memory: 1 MiB this monitor · 4 MiB the program · 56–64 MiB its stack · 64 MiB
 * a tar archive of files, read from the first disk (FILES) · HEAP up to
 * MEMORY_END the heap, then blocks of mmap. The archive's file "commands" has
 * one program with its arguments a line; words NAME=VALUE before it go into its
 * environment. Output goes to the first serial port; "== exit N" follows each
 * program and "== end" the last.
 *
 * Writing "Shutdown" to port 0x8900 ends Bochs. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum
{
  PAGE = 4096,
  STACK_START = 56 << 20,
  STACK_END = 64 << 20,
  FILES = 64 << 20,
  HEAP = 192 << 20,
  MAPS = 448 << 20,
  MEMORY_END = 512 << 20,
  MAX_WORDS = 64,
  MAX_OPEN = 16,
  SERIAL = 0x3f8,
  DISK = 0x1f0
};

typedef struct
{
  const uint8_t *data; /* NULL: free */
  size_t size, at;
} File;

static File files[MAX_OPEN];
static const uint8_t *commands, *commands_end;
static uintptr_t heap_end, maps_end;
static uint64_t random_state = 1;

extern uint8_t exception_entries[], system_call_entry[];
void enter_program (uintptr_t stack, uintptr_t start);
void monitor_main (void);
int64_t monitor_system_call (uint64_t nr, uint64_t a, uint64_t b, uint64_t c,
    uint64_t d, uint64_t e, uint64_t f);
void monitor_exception (const uint64_t *frame);
/* The compiler calls these. */
void *memcpy (void *to, const void *from, size_t n);
void *memset (void *to, int byte, size_t n);

void *
memcpy (void *to, const void *from, size_t n)
{
  void *start = to;

  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
  return start;
}

void *
memset (void *to, int byte, size_t n)
{
  void *start = to;

  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
  return start;
}

static inline void
out8 (uint16_t port, uint8_t v)
{
  __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint8_t
in8 (uint16_t port)
{
  uint8_t v;

  __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
  return v;
}

static inline void
write_msr (uint32_t msr, uint64_t v)
{
  __asm__ volatile(
      "wrmsr" ::"c"(msr), "a"((uint32_t) v), "d"((uint32_t) (v >> 32)));
}

static inline uint64_t
time_stamp (void)
{
  uint32_t low, high;

  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t) high << 32 | low;
}

static void
put_bytes (const uint8_t *p, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    while (!(in8 (SERIAL + 5) & 0x20))
      ;
    out8 (SERIAL, p[i]);
  }
}

static size_t
length (const char *s)
{
  size_t n = 0;

  while (s[n])
    n++;
  return n;
}

static void
put (const char *s)
{
  put_bytes ((const uint8_t *) s, length (s));
}

static void
put_number (uint64_t v, unsigned base)
{
  char digits[24];
  int n = sizeof digits;

  digits[--n] = 0;
  do
    digits[--n] = "0123456789abcdef"[v % base];
  while (v /= base);
  put (digits + n);
}

static _Noreturn void
shut_down (void)
{
  put ("== end\n");
  while (!(in8 (SERIAL + 5) & 0x40)) /* until all has been sent */
    ;
  for (const char *s = "Shutdown"; *s; s++)
    out8 (0x8900, (uint8_t) *s);
  for (;;)
    __asm__ volatile("hlt");
}

static uint64_t
octal (const uint8_t *p, int n)
{
  uint64_t v = 0;

  for (int i = 0; i < n && p[i] >= '0' && p[i] <= '7'; i++)
    v = v * 8 + (uint64_t) (p[i] - '0');
  return v;
}

/* The part of a path behind the last slash. */
static const char *
base_name (const char *path)
{
  const char *base = path;

  for (const char *s = path; *s; s++)
    if (*s == '/')
      base = s + 1;
  return base;
}

/* A regular file of the archive; folders are not looked at. */
static int
find_file (const char *path, File *file)
{
  const uint8_t *p = (const uint8_t *) (uintptr_t) FILES;
  const char *want = base_name (path);

  while (p[0]) {
    size_t size = octal (p + 124, 12);
    const char *have = base_name ((const char *) p);
    size_t i = 0;

    while (have[i] && have[i] == want[i])
      i++;
    if (have[i] == want[i] && (p[156] == '0' || p[156] == 0)) {
      *file = (File){ p + 512, size, 0 };
      return 1;
    }
    p += 512 + (size + 511) / 512 * 512;
  }
  return 0;
}

/* Copies a static program to its place; its first instruction, 0 if it is not
 * one. */
static uintptr_t
load_program (const File *file, const Elf64_Phdr **phdrs, size_t *n_phdrs)
{
  const Elf64_Ehdr *eh = (const Elf64_Ehdr *) file->data;
  const Elf64_Phdr *ph = (const Elf64_Phdr *) (file->data + eh->e_phoff);

  if (file->size < sizeof *eh || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
      eh->e_type != ET_EXEC)
    return 0;
  for (int i = 0; i < eh->e_phnum; i++) {
    uint8_t *to = (uint8_t *) (uintptr_t) ph[i].p_vaddr;

    if (ph[i].p_type != PT_LOAD)
      continue;
    if (ph[i].p_vaddr < 0x400000 || ph[i].p_vaddr + ph[i].p_memsz > STACK_START)
      return 0;
    memcpy (to, file->data + ph[i].p_offset, ph[i].p_filesz);
    memset (to + ph[i].p_filesz, 0, ph[i].p_memsz - ph[i].p_filesz);
  }
  *phdrs = ph;
  *n_phdrs = eh->e_phnum;
  return eh->e_entry;
}

/* The stack that the System V ABI gives a program: argc, argv, envp, auxv. */
static uintptr_t
make_stack (char **argv, int argc, char **envp, int n_env,
    const Elf64_Phdr *phdrs, size_t n_phdrs, uintptr_t start)
{
  uint64_t *p;
  const uint64_t aux[][2] = { { AT_PHDR, (uintptr_t) phdrs },
    { AT_PHENT, sizeof *phdrs }, { AT_PHNUM, n_phdrs }, { AT_PAGESZ, PAGE },
    { AT_ENTRY, start }, { AT_RANDOM, STACK_END - 64 }, { AT_CLKTCK, 100 },
    { AT_NULL, 0 } };
  size_t words = 1 + (size_t) argc + 1 + (size_t) n_env + 1 +
      sizeof aux / sizeof (uint64_t);

  uintptr_t stack = STACK_END - 64 - (words + 1) / 2 * 16;

  memset ((void *) (uintptr_t) (STACK_END - 64), 0x5b, 16);
  p = (uint64_t *) stack;
  *p++ = (uint64_t) argc;
  for (int i = 0; i < argc; i++)
    *p++ = (uintptr_t) argv[i];
  *p++ = 0;
  for (int i = 0; i < n_env; i++)
    *p++ = (uintptr_t) envp[i];
  *p++ = 0;
  memcpy (p, aux, sizeof aux);
  return stack;
}

/* The next line of "commands", cut into words. */
static int
next_line (char *buffer, size_t size, char **words)
{
  size_t n = 0;
  int n_words = 0;

  while (commands < commands_end && *commands != '\n' && n + 1 < size)
    buffer[n++] = (char) *commands++;
  while (commands < commands_end && *commands++ != '\n')
    ;
  buffer[n] = 0;
  for (size_t i = 0; i < n; i++)
    if (buffer[i] == ' ')
      buffer[i] = 0;
    else if ((i == 0 || !buffer[i - 1]) && n_words < MAX_WORDS)
      words[n_words++] = buffer + i;
  return n_words;
}

static int
has_equals_sign (const char *s)
{
  while (*s && *s != '=')
    s++;
  return *s == '=';
}

static void
run_next (void)
{
  static char line[4096], *words[MAX_WORDS + 1];
  int n, first = 0;

  while (commands < commands_end) {
    const Elf64_Phdr *phdrs = NULL;
    size_t n_phdrs = 0;
    uintptr_t start;
    File file;

    n = next_line (line, sizeof line, words + 1);
    if (n == 0)
      continue;
    /* room for one variable: all memory from one heap, see mmap below */
    words[0] = (char *) "GLIBC_TUNABLES=glibc.malloc.mmap_max=0";
    for (first = 1; first <= n && has_equals_sign (words[first]);)
      first++;
    put ("== run");
    for (int i = 1; i <= n; i++) {
      put (" ");
      put (words[i]);
    }
    put ("\n");
    if (first > n || !find_file (words[first], &file) ||
        (start = load_program (&file, &phdrs, &n_phdrs)) == 0) {
      put ("== exit 127\n");
      continue;
    }
    memset (files, 0, sizeof files);
    heap_end = HEAP;
    maps_end = MAPS;
    enter_program (make_stack (words + first, n + 1 - first, words, first,
                       phdrs, n_phdrs, start),
        start);
  }
  shut_down ();
}

static void
end_program (uint64_t status)
{
  put ("== exit ");
  put_number (status, 10);
  put ("\n");
  run_next ();
}

void
monitor_exception (const uint64_t *frame)
{
  uint64_t vector = frame[0], address;
  /* these push an error code */
  int has_code = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
  const uint8_t *rip = (const uint8_t *) (uintptr_t) frame[1 + has_code];

  __asm__ volatile("mov %%cr2, %0" : "=r"(address));
  put ("\n== exception ");
  put_number (vector, 10);
  put (vector == 6       ? " (invalid instruction)"
          : vector == 14 ? " (page fault)"
                         : "");
  put (" at 0x");
  put_number ((uintptr_t) rip, 16);
  put (", address 0x");
  put_number (address, 16);
  put (", bytes");
  for (int i = 0; i < 10 && (uintptr_t) rip >= PAGE; i++) {
    put (rip[i] < 16 ? " 0" : " ");
    put_number (rip[i], 16);
  }
  put ("\n");
  end_program (128 + vector);
}

static int64_t
open_file (const char *path, int flags)
{
  File file;

  if ((flags & O_ACCMODE) != O_RDONLY)
    return -EROFS;
  if (!find_file (path, &file))
    return -ENOENT;
  for (int i = 3; i < MAX_OPEN; i++)
    if (!files[i].data) {
      files[i] = file;
      return i;
    }
  return -EMFILE;
}

static int64_t
read_file (uint64_t fd, void *to, size_t n, uint64_t *at)
{
  File *file = &files[fd];

  if (fd >= MAX_OPEN || !file->data)
    return fd == 0 ? 0 : -EBADF;
  if (*at >= file->size)
    return 0;
  if (n > file->size - *at)
    n = file->size - *at;
  memcpy (to, file->data + *at, n);
  *at += n;
  return (int64_t) n;
}

static int64_t
write_file (uint64_t fd, const void *p, size_t n)
{
  if (fd != 1 && fd != 2)
    return -EBADF;
  put_bytes (p, n);
  return (int64_t) n;
}

static int64_t
seek_file (uint64_t fd, int64_t to, int whence)
{
  File *file = &files[fd];

  if (fd >= MAX_OPEN || !file->data)
    return fd < 3 ? -ESPIPE : -EBADF;
  to += whence == 0 ? 0 : (int64_t) (whence == 1 ? file->at : file->size);
  if (to < 0)
    return -EINVAL;
  file->at = (size_t) to;
  return to;
}

static int64_t
stat_file (const File *file, struct stat *st)
{
  memset (st, 0, sizeof *st);
  st->st_mode = file ? S_IFREG | 0444 : S_IFCHR | 0666;
  st->st_size = file ? (off_t) file->size : 0;
  st->st_blksize = PAGE;
  st->st_nlink = 1;
  st->st_ino = file ? (ino_t) (uintptr_t) file->data : 1;
  return 0;
}

static int64_t
stat_open (uint64_t fd, struct stat *st)
{
  if (fd >= MAX_OPEN || (fd > 2 && !files[fd].data))
    return -EBADF;
  return stat_file (fd > 2 ? &files[fd] : NULL, st);
}

/* Blocks are never given back: the C library's allocator does not use them
 * (its mmap_max is 0). */
static int64_t
map_memory (size_t n, int flags, uint64_t fd, size_t offset)
{
  uintptr_t p = maps_end;

  n = (n + PAGE - 1) / PAGE * PAGE;
  if (n > MEMORY_END - maps_end || (flags & 0x10) /* MAP_FIXED */)
    return -ENOMEM;
  maps_end += n;
  memset ((void *) p, 0, n);
  if (!(flags & 0x20) /* MAP_ANONYMOUS */) {
    uint64_t at = offset;
    int64_t got = read_file (fd, (void *) p, n, &at);

    if (got < 0)
      return got;
  }
  return (int64_t) p;
}

static int64_t
set_heap_end (uintptr_t want)
{
  if (want >= HEAP && want <= MAPS) {
    if (want > heap_end)
      memset ((void *) heap_end, 0, want - heap_end);
    heap_end = want;
  }
  return (int64_t) heap_end;
}

/* Time stands for instructions: one a nanosecond. */
static int64_t
get_time (int64_t *seconds_nanoseconds)
{
  uint64_t now = time_stamp ();

  seconds_nanoseconds[0] = (int64_t) (now / 1000000000);
  seconds_nanoseconds[1] = (int64_t) (now % 1000000000);
  return 0;
}

static int64_t
get_random (uint8_t *to, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    to[i] = (uint8_t) (random_state >> 56);
  }
  return (int64_t) n;
}

static int64_t
write_vector (uint64_t fd, const struct iovec *v, size_t n)
{
  int64_t sum = 0;

  for (size_t i = 0; i < n; i++) {
    int64_t got = write_file (fd, v[i].iov_base, v[i].iov_len);

    if (got < 0)
      return got;
    sum += got;
  }
  return sum;
}

/* One thread: who waits, waits for ever. */
static int64_t
futex (const uint32_t *word, int operation, uint32_t value)
{
  int waits = (operation & 127) == 0 || (operation & 127) == 9;

  if (!waits)
    return 0;
  if (*word != value)
    return -EAGAIN;
  put ("== the program waits for another thread\n");
  end_program (124);
  return 0;
}

static int64_t
unknown_call (uint64_t nr)
{
  put ("== no system call ");
  put_number (nr, 10);
  put ("\n");
  return -ENOSYS;
}

/* Calls that are answered without being done. */
static int64_t
fixed_answer (uint64_t nr)
{
  switch (nr) {
    case SYS_getpid:
    case SYS_gettid:
    case SYS_set_tid_address:
      return 1;
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_sigaltstack:
    case SYS_set_robust_list:
    case SYS_sched_yield:
    case SYS_fcntl:
    case SYS_getuid:
    case SYS_geteuid:
    case SYS_getgid:
    case SYS_getegid:
      return 0;
    case SYS_access:
    case SYS_readlink:
    case SYS_readlinkat:
      return -ENOENT;
    case SYS_rseq:
    case SYS_prlimit64:
    case SYS_sysinfo:
      return -ENOSYS;
    case SYS_clone:
    case SYS_clone3:
      return -EAGAIN; /* no second thread */
    default:
      return unknown_call (nr);
  }
}

int64_t
monitor_system_call (uint64_t nr, uint64_t a, uint64_t b, uint64_t c,
    uint64_t d, uint64_t e, uint64_t f)
{
  void *pa = (void *) (uintptr_t) a, *pb = (void *) (uintptr_t) b,
       *pc = (void *) (uintptr_t) c;
  File file;

  switch (nr) {
    case SYS_read:
      return read_file (a, pb, c, &files[a % MAX_OPEN].at);
    case SYS_pread64:
      return read_file (a, pb, c, &d);
    case SYS_write:
      return write_file (a, pb, c);
    case SYS_writev:
      return write_vector (a, pb, c);
    case SYS_open:
      return open_file (pa, (int) b);
    case SYS_openat:
      return open_file (pb, (int) c);
    case SYS_close:
      if (a < MAX_OPEN)
        files[a].data = NULL;
      return 0;
    case SYS_lseek:
      return seek_file (a, (int64_t) b, (int) c);
    case SYS_fstat:
      return stat_open (a, pb);
    case SYS_newfstatat:
      if (!*(const char *) pb)
        return stat_open (a, pc);
      return find_file (pb, &file) ? stat_file (&file, pc) : -ENOENT;
    case SYS_mmap:
      return map_memory (b, (int) d, e, f);
    case SYS_brk:
      return set_heap_end (a);
    case SYS_arch_prctl:
      if (a != 0x1002) /* ARCH_SET_FS */
        return -EINVAL;
      write_msr (0xc0000100, b);
      return 0;
    case SYS_clock_gettime:
      return get_time (pb);
    case SYS_time:
      return (int64_t) (time_stamp () / 1000000000);
    case SYS_getrandom:
      return get_random (pa, b);
    case SYS_futex:
      return futex (pa, (int) b, (uint32_t) c);
    case SYS_sched_getaffinity:
      memset (pc, 0, b);
      *(uint8_t *) pc = 1;
      return 8;
    case SYS_ioctl: /* TCGETS: the serial port is a terminal, flushed a line */
      if (a > 2 || b != 0x5401)
        return -ENOTTY;
      memset (pc, 0, 36);
      return 0;
    case SYS_tgkill:
      end_program (128 + c);
      return 0;
    case SYS_exit:
    case SYS_exit_group:
      end_program (a & 255);
      return 0;
    default:
      return fixed_answer (nr);
  }
}

/* Waits until the disk has a sector to give. */
static void
wait_disk (void)
{
  uint8_t status;

  do
    status = in8 (DISK + 7);
  while ((status & 0x80) || !(status & 9));
  if (status & 1) {
    put ("== the disk cannot be read\n");
    shut_down ();
  }
}

static void
read_sector (void *to)
{
  size_t n = 256;

  wait_disk ();
  __asm__ volatile("rep insw" : "+D"(to), "+c"(n) : "d"(DISK) : "memory");
}

/* Copies the disk, the archive, to FILES. ATA, programmed transfers. */
static void
read_disk (void)
{
  uint16_t about[256];
  uint8_t *to = (uint8_t *) (uintptr_t) FILES;
  uint32_t n;

  out8 (DISK + 0x206, 2); /* no interrupts */
  out8 (DISK + 6, 0xe0);
  out8 (DISK + 7, 0xec); /* IDENTIFY */
  read_sector (about);
  n = about[60] | (uint32_t) about[61] << 16;
  if (n > (HEAP - FILES) / 512)
    n = (HEAP - FILES) / 512;
  for (uint32_t at = 0; at < n; at++, to += 512) {
    if (at % 128 == 0) {
      out8 (DISK + 2, (uint8_t) (n - at < 128 ? n - at : 128));
      out8 (DISK + 3, (uint8_t) at);
      out8 (DISK + 4, (uint8_t) (at >> 8));
      out8 (DISK + 5, (uint8_t) (at >> 16));
      out8 (DISK + 6, (uint8_t) (0xe0 | at >> 24));
      out8 (DISK + 7, 0x20); /* READ SECTORS */
    }
    read_sector (to);
  }
}

static void
set_exceptions (void)
{
  static struct
  {
    uint16_t low, selector, flags, middle;
    uint32_t high, zero;
  } table[32];
  static struct __attribute__ ((packed))
  {
    uint16_t limit;
    uint64_t base;
  } pointer;

  for (int i = 0; i < 32; i++) {
    uintptr_t p = (uintptr_t) exception_entries + 16 * (uintptr_t) i;

    table[i].low = (uint16_t) p;
    table[i].selector = 24;
    table[i].flags = 0x8e00;
    table[i].middle = (uint16_t) (p >> 16);
  }
  pointer.limit = sizeof table - 1;
  pointer.base = (uintptr_t) table;
  __asm__ volatile("lidt %0" ::"m"(pointer));
}

/* SSE, and whatever registers CPUID says that XSAVE knows: what an operating
 * system would switch on. */
static void
enable_registers (void)
{
  uint32_t eax = 1, ebx, ecx = 0, edx;
  uint64_t cr0, cr4;

  __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
  __asm__ volatile("mov %0, %%cr0" ::"r"((cr0 & ~UINT64_C (12)) | 0x22));
  __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
  __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 0x600)); /* SSE */
  __asm__ volatile("fninit");
  __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  if (!(ecx & 1 << 26)) /* XSAVE */
    return;
  __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 0x40600));
  eax = 13;
  ecx = 0;
  __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  /* x87, SSE, AVX, and the three parts of AVX-512 */
  __asm__ volatile("xsetbv" ::"c"(0), "a"(eax & 0xe7), "d"(0));
}

void
monitor_main (void)
{
  File file;

  out8 (SERIAL + 3, 0x80); /* divisor 1, 8 bits */
  out8 (SERIAL, 1);
  out8 (SERIAL + 1, 0);
  out8 (SERIAL + 3, 3);
  set_exceptions ();
  enable_registers ();
  write_msr (0xc0000081, UINT64_C (24) << 32); /* STAR: code 24, data 32 */
  write_msr (0xc0000082, (uintptr_t) system_call_entry);
  write_msr (0xc0000084, 0x600); /* clears interrupt and direction flags */
  read_disk ();
  if (find_file ("commands", &file)) {
    commands = file.data;
    commands_end = file.data + file.size;
  }
  run_next ();
}
