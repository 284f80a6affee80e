//! Memory in use, and its limit: see proc(5) and the kernel's documentation of control groups. `root` is the folder
//! above the kernel's files: `/`, except in tests.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The resident memory of this process, `VmRSS`, in bytes.
pub fn resident_memory(root: &Path) -> Option<u64> {
    number("VmRSS:", &read(&root.join("proc/self/status")))?.checked_mul(1024)
}

/// The file names of one version of control groups.
struct Hierarchy {
    mount: &'static str,
    limit: &'static str,
    used: &'static str,
    cache: [&'static str; 2],
}

const V1: Hierarchy = Hierarchy {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: ["total_active_file", "total_inactive_file"],
};

const V2: Hierarchy = Hierarchy {
    mount: "sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
    cache: ["active_file", "inactive_file"],
};

/// Without a limit, version 1 reports a number above this.
const NO_LIMIT: u64 = 1 << 62;

/// The memory in use by the nearest control group with a limit, and that limit, in bytes. The file cache isn't counted,
/// because the kernel reclaims it before it runs out of memory.
pub fn unit_memory(root: &Path) -> Option<(u64, u64)> {
    let groups = fs::read(root.join("proc/self/cgroup")).ok()?;
    let (hierarchy, path) = hierarchy(&groups)?;
    let mount = root.join(hierarchy.mount);
    let own = mount.join(path);
    let (group, limit) = own
        .ancestors()
        .take_while(|group| group.starts_with(&mount))
        .filter_map(|group| Some((group, number("", &read(&group.join(hierarchy.limit)))?)))
        .find(|(_, limit)| *limit < NO_LIMIT)?;
    let used = number("", &read(&group.join(hierarchy.used)))?;
    let stat = read(&group.join("memory.stat"));
    let cached = hierarchy.cache.map(|key| number(key, &stat));
    Some((used.saturating_sub(cached[0]?).saturating_sub(cached[1]?), limit))
}

/// The hierarchy with the memory controller, and the path of this process's group below its mount. A controller is in
/// only one hierarchy. So version 2 has it only if no hierarchy of version 1 has it.
fn hierarchy(groups: &[u8]) -> Option<(Hierarchy, &Path)> {
    let group = |is_it: fn(&[u8], &[u8]) -> bool| {
        groups.split(|byte| *byte == b'\n').find_map(|line| {
            let mut parts = line.splitn(3, |byte| *byte == b':');
            let (id, controllers) = (parts.next()?, parts.next()?);
            let path = parts.next()?.strip_prefix(b"/")?;
            is_it(id, controllers).then_some(Path::new(OsStr::from_bytes(path)))
        })
    };
    let v1 =
        group(|_, controllers| controllers.split(|byte| *byte == b',').any(|it| it == b"memory"));
    let v2 = group(|id, controllers| id == b"0" && controllers.is_empty());
    v1.map(|path| (V1, path)).or(v2.map(|path| (V2, path)))
}

/// If `used` exceeds `most`, both as text.
pub fn exceeded(used: u64, most: u64) -> Option<String> {
    (used > most).then(|| format!(" {} > {}", in_units(used), in_units(most)))
}

fn in_units(bytes: u64) -> String {
    let (unit, name) = if bytes < 1 << 30 { (1 << 20, "MiB") } else { (1 << 30, "GiB") };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn number(key: &str, text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A folder with files like those of the kernel.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("systemd-core-memory-{name}-{}", std::process::id());
            let root = Self(std::env::temp_dir().join(name));
            root.write(files);
            root
        }

        fn write(&self, files: &[(&str, &str)]) {
            for (path, text) in files {
                let path = self.0.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_resident() {
        let status = "Name:\tbeam.smp\nVmHWM:\t 9999999 kB\nVmRSS:\t 1048576 kB\n";
        let root = Root::new("resident", &[("proc/self/status", status)]);
        assert_eq!(resident_memory(&root.0), Some(1 << 30));
        root.write(&[("proc/self/status", "Name:\tkthreadd\n")]);
        assert_eq!(resident_memory(&root.0), None);
        assert!(resident_memory(Path::new("/")).unwrap() > 1 << 20);
    }

    #[test]
    fn more_than_there_may_be() {
        assert_eq!(exceeded(1 << 30, 1 << 30), None);
        assert_eq!(exceeded(1 << 30, 900 << 20).unwrap(), " 1.0 GiB > 900.0 MiB");
        assert_eq!(exceeded(1288490189, 1 << 30).unwrap(), " 1.2 GiB > 1.0 GiB");
    }

    #[test]
    fn the_nearest_limit_of_version_2() {
        const STAT: &str = "anon 1\nfile 300\ninactive_anon 7\nactive_anon 8\ninactive_file 100\nactive_file 20\n";
        const OWN: &str = "sys/fs/cgroup/system.slice/my:app.service/memory.max";
        const SLICE: &str = "sys/fs/cgroup/system.slice/memory.max";
        let root = Root::new(
            "v2",
            &[
                ("proc/self/cgroup", "0::/system.slice/my:app.service\n"),
                ("sys/fs/cgroup/system.slice/memory.current", "5000\n"),
                ("sys/fs/cgroup/system.slice/memory.stat", STAT),
                ("sys/fs/cgroup/system.slice/my:app.service/memory.current", "1000\n"),
                ("sys/fs/cgroup/system.slice/my:app.service/memory.stat", STAT),
            ],
        );
        assert_eq!(unit_memory(&root.0), None);
        root.write(&[(SLICE, "4000\n")]);
        assert_eq!(unit_memory(&root.0), Some((4880, 4000)));
        root.write(&[(OWN, "2000\n")]);
        assert_eq!(unit_memory(&root.0), Some((880, 2000)));
        root.write(&[(OWN, "max\n")]);
        assert_eq!(unit_memory(&root.0), Some((4880, 4000)));
        root.write(&[(SLICE, "max\n")]);
        assert_eq!(unit_memory(&root.0), None);
        // The use of the nearest group is unknown. That of another group must not replace it.
        root.write(&[(OWN, "2000\n"), (SLICE, "4000\n")]);
        root.write(&[("sys/fs/cgroup/system.slice/my:app.service/memory.stat", "anon 1\n")]);
        assert_eq!(unit_memory(&root.0), None);
    }

    #[test]
    fn the_hierarchy_of_version_1_if_it_is_there() {
        const LIMIT: &str = "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes";
        const NONE: &str = "9223372036854771712\n";
        let root = Root::new(
            "v1",
            &[
                ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:hugetlb,memory:/docker/1\n0::/b\n"),
                (LIMIT, "2000\n"),
                ("sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes", "1000\n"),
                (
                    "sys/fs/cgroup/memory/docker/1/memory.stat",
                    "active_file 1\ninactive_file 2\ntotal_inactive_file 100\ntotal_active_file 20\n",
                ),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", NONE),
            ],
        );
        assert_eq!(unit_memory(&root.0), Some((880, 2000)));
        root.write(&[(LIMIT, NONE)]);
        assert_eq!(unit_memory(&root.0), None);
    }

    #[test]
    fn a_group_that_is_the_root() {
        let root = Root::new(
            "root",
            &[
                ("proc/self/cgroup", "0::/\n"),
                ("sys/fs/cgroup/memory.max", "2147483648\n"),
                ("sys/fs/cgroup/memory.current", "1073741824\n"),
                ("sys/fs/cgroup/memory.stat", "active_file 0\ninactive_file 0\n"),
            ],
        );
        assert_eq!(unit_memory(&root.0), Some((1 << 30, 2 << 30)));
        fs::remove_file(root.0.join("proc/self/cgroup")).unwrap();
        assert_eq!(unit_memory(&root.0), None);
    }
}
