// The part of the AssemblyScript compiler's interface that is used here. Its own declarations also declare the globals
// of AssemblyScript (a console without console.error, among others), which would hold for all of the project.
interface CompilerOutput {
  write(chunk: string | Uint8Array): void;
  toString(): string;
}

interface CompilerResult {
  /** Null when the module was compiled. */
  error: Error | null;
  stdout: CompilerOutput;
  /** Warnings and errors, as printed. */
  stderr: CompilerOutput;
}

interface CompilerOptions {
  stdout?: CompilerOutput;
  stderr?: CompilerOutput;
  /** File names are relative to --baseDir. Null: there is no such file. */
  readFile?(name: string, baseDir: string): string | null | Promise<string | null>;
  writeFile?(name: string, contents: string | Uint8Array, baseDir: string): void | Promise<void>;
  listFiles?(dirname: string, baseDir: string): string[] | null | Promise<string[] | null>;
}

/** Compiles by the flags of the `asc` command. */
export function main(args: readonly string[], options?: CompilerOptions): Promise<CompilerResult>;

declare const asc: { main: typeof main };
export default asc;
