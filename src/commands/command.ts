/** An option of a command: what `parseArgs` takes, and what the help page says about it. */
export interface CommandOption {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly default?: string;
  readonly description: string;
  /** What stands for the value of a string on the help page. */
  readonly value?: string;
}

export type CommandOptions = Readonly<Record<string, CommandOption>>;

export interface Invocation {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Aborted on SIGTERM and SIGINT: finish what is in progress and return. */
  readonly signal: AbortSignal;
}

/** 0 done, 1 failed, 2 bad usage or configuration. */
export type ExitCode = 0 | 1 | 2;

/** What each file in this folder that is a command exports. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  /** The positional arguments, as in `CONFIG` or `SRC DST`. */
  readonly usage: string;
  readonly options: CommandOptions;
  run(invocation: Invocation): Promise<ExitCode>;
}

/** Bad usage: the message is printed with a pointer to --help, and the process exits with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
