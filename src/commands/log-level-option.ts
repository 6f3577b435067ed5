import type { LogLevel } from '../process/logger.ts';
import { UsageError, type CommandOption, type Invocation } from './command.ts';

const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

export const logLevelOption: CommandOption = {
  type: 'string',
  value: 'LEVEL',
  default: 'info',
  description: 'error, warn, info or debug (default info).',
};

/** @throws UsageError */
export function readLogLevel({ values }: Pick<Invocation, 'values'>): LogLevel {
  const level = LOG_LEVELS.find((known) => known === values['log-level']);
  if (level === undefined) throw new UsageError(`--log-level: write one of ${LOG_LEVELS.join(', ')}`);
  return level;
}
