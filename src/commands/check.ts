import { dump } from 'js-yaml';
import { effectiveConfig } from '../contract/config/effective.ts';
import { UsageError, type Command, type ExitCode, type Invocation } from './command.ts';
import { collectionAssumption } from './collection-assumption.ts';
import { findProblems, printProblems } from './config-file.ts';

export const check: Command = {
  summary: 'Check a configuration, and print what is in force, without secrets.',
  usage: 'CONFIG',
  options: {
    format: {
      type: 'string',
      value: 'yaml|json',
      default: 'yaml',
      description: 'How to print what is in force (default yaml); with json the problems as well.',
    },
  },
  run,
};

async function run(invocation: Invocation): Promise<ExitCode> {
  const format = invocation.values['format'];
  if (format !== 'yaml' && format !== 'json') {
    throw new UsageError(`--format is yaml or json, not '${String(format)}'`);
  }
  const { config, file, errors, notices } = await findProblems(invocation, {
    checkFiles: true,
    strict: true,
  });
  const collection = config && collectionAssumption(config);
  const effective = config && effectiveConfig(config);
  if (format === 'json') {
    const page = { file, errors, notices, collection, config: effective };
    invocation.stdout.write(`${JSON.stringify(page, null, 2)}\n`);
  } else {
    printProblems(invocation.stderr, { file, errors, warnings: [], notices });
    if (effective !== undefined) {
      invocation.stdout.write(`# Garbage collection: ${collection}\n${dump(effective, { lineWidth: -1 })}`);
    }
  }
  return config === undefined ? 2 : 0;
}
