import type { ConfigProblem } from '../contract/config/config.ts';

/** What the configuration names cannot be used. Nothing has been started. */
export class ServerConfigError extends Error {
  override readonly name = 'ServerConfigError';
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ path, message }) => `${path} ${message}`).join('; '));
    this.problems = problems;
  }
}

/** Opens what a configuration names, and finds everything that is wrong with it, not the first. */
export class Opening {
  readonly #problems: ConfigProblem[] = [];

  /** Does a part of the work. @param path of the option that it is for @returns undefined when that fails */
  readonly open = async <T>(path: string, work: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      this.#problems.push({ path, message: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };

  get failed(): boolean {
    return this.#problems.length > 0;
  }

  error(): ServerConfigError {
    return new ServerConfigError(this.#problems);
  }
}
