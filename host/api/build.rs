//! Builds the crate anew when a file of the console comes or goes; of those that change, the compiler knows.

fn main() {
    println!("cargo::rerun-if-changed=console");
}
