"""A pytest plugin for applications that use Gatepost. docs/how-to/test-your-application.md describes its fixtures and markers."""
