import { runProgram } from './commands/run.ts';

process.exitCode = await runProgram(process.argv.slice(2));
