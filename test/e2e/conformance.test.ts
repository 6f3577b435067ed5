import { testConformance } from './support/conformance.ts';

testConformance('1.1', 'a file system');
testConformance('dev', 'a file system');
testConformance('dev', 'S3 with redirects');
testConformance('1.1', 'Swift');
