import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
  /** In milliseconds; a minute unless said. The program is killed then. */
  readonly timeout?: number;
}

export interface Outcome {
  /** The exit code, or 128 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end and says how it ended. Throws when it cannot be started. */
export function run(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  const { input = '', environment = {}, folder, timeout = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      timeout,
      killSignal: 'SIGKILL',
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({
        code: code ?? 128,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
    // A program that ends without reading its input is no error of ours; how it ended says enough.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** Runs a program that must succeed, and returns what it printed. Throws with what it said otherwise. */
export async function succeed(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const outcome = await run(program, args, options);
  if (outcome.code !== 0) {
    const name = [program.split('/').at(-1), ...args].join(' ');
    throw new Error(
      `'${name}' ended with ${outcome.code}: ${outcome.stderr.trim() || outcome.stdout.trim()}`,
    );
  }
  return outcome.stdout;
}
