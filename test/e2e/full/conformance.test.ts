import { testConformance } from '../support/conformance.ts';

testConformance('1.1', 'S3 with redirects');
testConformance('1.1', 'S3 without redirects');
testConformance('dev', 'S3 without redirects');
